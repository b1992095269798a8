"""The table of a grid, for Markdown (``table.md``) and for a terminal. Accuracies are in %."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fullgrad_lightning.evaluation.reports.statistics import BASELINE, Estimate, estimate
from fullgrad_lightning.evaluation.reports.tables import Table, as_markdown, as_text, percent
from fullgrad_lightning.evaluation.roar.report.progress import progress
from fullgrad_lightning.evaluation.roar.report.results import Results
from fullgrad_lightning.evaluation.roar.report.seed_statistics import (
    accuracy,
    accuracy_difference,
    area_difference,
    mean_area,
)


def accuracy_table(results: Results) -> Table:
    """Test accuracy: a row for each method, a column for each fraction, and the area."""
    return _by_method(results, results.methods, accuracy, mean_area, ".1f")


def difference_table(results: Results) -> Table:
    """Accuracy minus that of ``random``, paired by seed; only methods with such a difference."""
    others = [method for method in results.methods if method != BASELINE]
    methods = others if BASELINE in results.methods else []
    headings, *rows = _by_method(results, methods, accuracy_difference, area_difference, "+.1f")
    return [headings, *(row for row in rows if any(row[1:]))]


def detail_table(results: Results) -> Table:
    """Every mean with its number of seeds, standard deviation, interval, difference to random."""
    headings = ["method", "fraction", "seeds", "mean", "std", "95 % interval", "minus random"]
    rows = [_details("reference", "", estimate(list(results.reference().values())), None)]
    for method in results.methods:
        for level in results.fractions(method):
            versus = accuracy_difference(results, method, level) if method != BASELINE else None
            of = accuracy(results, method, level)
            rows.append(_details(results.title(method), percent(level), of, versus))
        versus = area_difference(results, method) if method != BASELINE else None
        rows.append(_details(results.title(method), "AUC", mean_area(results, method), versus))
    return [headings, *rows]


def markdown(results: Results) -> str:
    """The text of ``table.md``."""
    parts = ["# ROAR: test accuracy after retraining, in %", progress(results), meaning(results)]
    parts += [reference_line(results), as_markdown(accuracy_table(results))]
    if len(differences := difference_table(results)) > 1:
        parts += [f"## Minus {BASELINE}, paired by seed", as_markdown(differences)]
    parts += ["## All numbers", as_markdown(detail_table(results))]
    return "\n\n".join(parts) + "\n"


def console(results: Results) -> str:
    """The same for a terminal of 100 columns, without the details."""
    parts = [
        f"Test accuracy after retraining, in %: the {better(results)}, the better the method.\n"
        + reference_line(results)
    ]
    parts.append(as_text(accuracy_table(results)))
    if len(differences := difference_table(results)) > 1:
        parts += [f"Minus {BASELINE}, paired by seed:", as_text(differences)]
    return "\n\n".join(parts)


def meaning(results: Results) -> str:
    """What was done to the images, which numbers are good ones, and how to read them."""
    fill = results.fill
    done = f"are replaced ({fill})" if results.remove else f"are kept, all others replaced ({fill})"
    return (
        f"The {results.order} pixels {done} in training, validation and test images alike; then "
        f"networks are trained anew. The {better(results)} the accuracy, the better a method has "
        "ranked the pixels. After ±: half of the 95 % Student-t interval over seeds. AUC: the area "
        "under accuracy by fraction, reference included, divided by the range of fractions."
    )


def better(results: Results) -> str:
    """Whether accuracies are "lower" or "higher" where a method has ranked the pixels well."""
    return "lower" if results.remove == (results.order == "most salient") else "higher"


def reference_line(results: Results) -> str:
    """The accuracy where nothing is replaced."""
    reference = estimate(list(results.reference().values()))
    return f"Reference, nothing replaced: {_short(reference, '.1f') or 'not trained yet'}."


def _by_method(
    results: Results,
    methods: Sequence[str],
    at: Callable[[Results, str, float], Estimate | None],
    over: Callable[[Results, str], Estimate | None],
    how: str,
) -> Table:
    """A row for each method; the reference has no column: it has a line of its own."""
    fractions = results.fractions(*results.methods)
    rows = [
        [
            results.title(method),
            *(_short(at(results, method, fraction), how) for fraction in fractions),
            _short(over(results, method), how),
        ]
        for method in methods
    ]
    return [["method", *map(percent, fractions), "AUC"], *rows]


def _details(method: str, fraction: str, of: Estimate | None, versus: Estimate | None) -> list[str]:
    if of is None:
        return [method, fraction, "0", "", "", "", ""]
    row = [method, fraction, str(of.count), f"{100 * of.mean:.2f}", "", "", ""]
    if of.deviation is not None and of.half_width is not None:
        low, high = of.mean - of.half_width, of.mean + of.half_width
        row[4:6] = [f"{100 * of.deviation:.2f}", f"{100 * low:.2f} … {100 * high:.2f}"]
    row[6] = _short(versus, "+.2f")
    return row


def _short(of: Estimate | None, how: str) -> str:
    """ "87.1 ± 0.4", the mean alone for one seed, nothing for none."""
    if of is None:
        return ""
    mean = format(100 * of.mean, how)
    digits = how.lstrip("+")
    return mean if of.half_width is None else f"{mean} ± {format(100 * of.half_width, digits)}"
