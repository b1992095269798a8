"""The report of the randomisation test: tables, curves, maps."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from torch import Tensor

from fullgrad_lightning.evaluation.reports.tables import (
    WIDTH,
    Section,
    Table,
    as_csv,
    console_page,
    estimate_table,
    markdown_page,
)
from fullgrad_lightning.evaluation.sanity.figures import draw_maps, write_curves
from fullgrad_lightning.evaluation.sanity.results import SanityCurves
from fullgrad_lightning.evaluation.sanity.similarity import MEASURES
from fullgrad_lightning.utilities.files import atomic_write

MEANING = (
    "Similarity of saliency maps to those of the original network, as its layers are "
    "re-initialised one after the other, from the output to the layer named. 1: the map has not "
    "changed. "
    "After ±: half of the 95 % Student-t interval over samples."
)


def write_sanity_report(curves: SanityCurves, images: Tensor, folder: Path) -> str:
    """Writes the results of the test into a folder.

    ================= ===========================================================================
    file              content
    ================= ===========================================================================
    results.csv       one row per method, stage and sample: all measures
    table.md          means over samples with 95 % Student-t intervals
    sanity.png, .svg  rank correlation by stage, a curve for each method
    sanity_maps.png   maps: a row for each method, a column for each stage
    ================= ===========================================================================

    Args:
        curves: The result of ``check_randomization``.
        images: (P, 3, H, W) or more, float32 in [0, 1], as ``unnormalized`` makes them: the samples
            whose maps ``curves`` has kept, in the same order.
        folder: The report's folder, created if necessary.

    Returns:
        The text to print: the tables, and the path of the folder.

    Raises:
        ValueError: Images of another shape, or fewer than there are maps.
    """
    maps = draw_maps(curves, images)
    atomic_write(folder / "results.csv", _format_csv(curves))
    atomic_write(folder / "table.md", _format_markdown(curves))
    atomic_write(folder / "sanity_maps.png", maps.to_png())
    write_curves(curves, folder)
    tables = console_page([fill(MEANING, WIDTH)], _sections(curves))
    return f"{tables}\n\nTables, curves and maps are in {folder}."


def make_table(curves: SanityCurves, measure: str) -> Table:
    """Means over samples: a row for each method, a column for each stage after the original."""
    stages = zip(curves.depths[1:], curves.headings[1:], strict=True)
    rows = [
        (method, curves.estimates(measure, method)[1:]) for method in curves.methods_of(measure)
    ]
    return estimate_table([f"{depth} {name}" for depth, name in stages], rows, 2)


def _sections(curves: SanityCurves) -> list[Section]:
    return [
        Section(MEASURES[measure], "", make_table(curves, measure)) for measure in curves.measures
    ]


def _format_markdown(curves: SanityCurves) -> str:
    """The text of ``table.md``."""
    numbers = (
        f"{curves.num_samples} samples; {len(curves.layers)} layers. Columns: the number of layers "
        "that are re-initialised, and the last one of these."
    )
    title = "Randomisation test of saliency maps"
    return markdown_page(title, [MEANING, numbers], _sections(curves))


def _format_csv(curves: SanityCurves) -> str:
    """All numbers: ``method``, ``depth``, ``layer``, ``sample``, and a column for each measure."""
    rows: list[list[object]] = []
    for method in curves.methods:
        by_measure = [curves.similarity[measure][method].tolist() for measure in MEASURES]
        for stage, (depth, name) in enumerate(zip(curves.depths, curves.headings, strict=True)):
            at_stage = zip(*(values[stage] for values in by_measure), strict=True)
            rows += [[method, depth, name, i, *values] for i, values in enumerate(at_stage)]
    return as_csv(["method", "depth", "layer", "sample", *MEASURES], rows)
