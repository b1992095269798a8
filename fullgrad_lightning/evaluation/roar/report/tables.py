"""Tables of a grid: ``table.md`` and a terminal's, accuracies in %, and ``results.csv``."""

from __future__ import annotations

from fullgrad_lightning.evaluation.reports.statistics import BASELINE, Estimate
from fullgrad_lightning.evaluation.reports.tables import (
    Section,
    Table,
    as_csv,
    console_page,
    estimate_table,
    format_estimate,
    markdown_page,
    percent,
)
from fullgrad_lightning.evaluation.roar.grid_state import CellState
from fullgrad_lightning.evaluation.roar.report.progress import format_progress
from fullgrad_lightning.evaluation.roar.report.results import GridResults

MASKING = ("order", "remove", "fill", "mask_only")
COLUMNS = (
    "method", "fraction", "seed", *MASKING, "state", "test_accuracy", "test_loss", "epochs",
    "seconds_total", "seconds_training", "seconds_outside", "folder",
)  # fmt: skip


def format_markdown(results: GridResults) -> str:
    """Formats the text of ``table.md``."""
    title = "ROAR: test accuracy after retraining, in %"
    paragraphs = [format_progress(results), _explain(results), _format_reference(results)]
    details = Section("All numbers", "", _detail_table(results))
    return markdown_page(title, paragraphs, [*_sections(results), details])


def format_console(results: GridResults) -> str:
    """Formats the same for a terminal of 100 columns, without the details."""
    better = _better_direction(results)
    meaning = f"Test accuracy after retraining, in %: the {better}, the better the method."
    return console_page([f"{meaning}\n{_format_reference(results)}"], _sections(results))


def format_csv(results: GridResults) -> str:
    """Formats all cells as comma-separated values; missing values are blank.

    ======================================= ===================================================
    column                                  content
    ======================================= ===================================================
    method, fraction, seed                  the labels; at fraction 0 the shared reference
    order, remove, fill, mask_only          the replacement of pixels; blank for the reference
    state                                   done, failed, running, interrupted or waiting
    test_accuracy, test_loss                of the last epoch; accuracy in 0…1
    epochs                                  trained
    seconds_total, _training, _outside      outside: start, imports, data
    folder                                  the cell's, below ``cells/``
    ======================================= ===================================================
    """
    return as_csv(COLUMNS, [_csv_row(cell, results) for cell in results.cells])


def _csv_row(cell: CellState, results: GridResults) -> list[object]:
    masking = results.maskings[cell.method] if cell.fraction else {}
    result = cell.result or {}
    seconds = result.get("seconds", {})
    return [
        cell.method, cell.fraction, cell.seed,
        *map(masking.get, MASKING),
        cell.state,
        *map(result.get, ("test_accuracy", "test_loss", "epochs")),
        *map(seconds.get, ("total", "training", "outside")),
        cell.folder.name,
    ]  # fmt: skip


def _sections(results: GridResults) -> list[Section]:
    sections = [Section("", "", _accuracy_table(results))]
    if len(differences := _difference_table(results)) > 1:
        sections.append(Section(f"Minus {BASELINE}, paired by seed", "", differences))
    return sections


def _accuracy_table(results: GridResults) -> Table:
    """Test accuracy: a row for each method, a column for each fraction, and the area."""
    fractions = results.fractions(*results.methods)
    rows = [
        (
            results.title(method),
            [*(results.mean_accuracy(method, f) for f in fractions), results.mean_area(method)],
        )
        for method in results.methods
    ]
    return estimate_table([*map(percent, fractions), "AUC"], rows, 1, scale=100)


def _difference_table(results: GridResults) -> Table:
    """Accuracy minus that of ``random``, paired by seed; only methods with such a difference."""
    fractions = results.fractions(*results.methods)
    rows = []
    for method in results.methods:
        differences = [results.accuracy_difference(method, fraction) for fraction in fractions]
        differences.append(results.area_difference(method))
        if method != BASELINE and any(differences):
            rows.append((results.title(method), differences))
    return estimate_table([*map(percent, fractions), "AUC"], rows, 1, scale=100, signed=True)


def _detail_table(results: GridResults) -> Table:
    """Every mean with its number of seeds, standard deviation, interval, difference to random."""
    headings = ["method", "fraction", "seeds", "mean", "std", "95 % interval", "minus random"]
    rows = [_detail_row("reference", "", results.mean_reference(), None)]
    for method in results.methods:
        title, compared = results.title(method), method != BASELINE
        for level in results.fractions(method):
            difference = results.accuracy_difference(method, level) if compared else None
            accuracy = results.mean_accuracy(method, level)
            rows.append(_detail_row(title, percent(level), accuracy, difference))
        difference = results.area_difference(method) if compared else None
        rows.append(_detail_row(title, "AUC", results.mean_area(method), difference))
    return [headings, *rows]


def _detail_row(
    title: str, fraction: str, mean: Estimate | None, difference: Estimate | None
) -> list[str]:
    if mean is None:
        return [title, fraction, "0", "", "", "", ""]
    row = [title, fraction, str(mean.count), f"{100 * mean.mean:.2f}", "", "", ""]
    if mean.deviation is not None and mean.half_width is not None:
        low, high = mean.mean - mean.half_width, mean.mean + mean.half_width
        row[4:6] = [f"{100 * mean.deviation:.2f}", f"{100 * low:.2f} … {100 * high:.2f}"]
    row[6] = format_estimate(difference, 2, scale=100, signed=True)
    return row


def _explain(results: GridResults) -> str:
    """The replacement of pixels, the better direction, and the notation."""
    fill = results.fill
    done = f"are replaced ({fill})" if results.remove else f"are kept, all others replaced ({fill})"
    return (
        f"The {results.order} pixels {done} in training, validation and test images alike; then "
        f"new networks are trained. The {_better_direction(results)} the accuracy, the better a "
        "method has ranked the pixels. After ±: half of the 95 % Student-t interval over seeds. "
        "AUC: the area under accuracy by fraction, reference included, divided by the range of "
        "fractions."
    )


def _better_direction(results: GridResults) -> str:
    """The direction of accuracies, "lower" or "higher", of a method that ranks pixels well."""
    return "lower" if results.remove == (results.order == "most salient") else "higher"


def _format_reference(results: GridResults) -> str:
    reference = format_estimate(results.mean_reference(), 1, scale=100)
    return f"Reference, nothing replaced: {reference or 'not trained yet'}."
