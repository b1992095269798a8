"""What a check of saliency methods found, as files: tables, curves, maps."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from textwrap import fill

from torch import Tensor

from fullgrad_lightning.evaluation.reports.statistics import Estimate
from fullgrad_lightning.evaluation.reports.tables import WIDTH, Table, as_markdown, as_text
from fullgrad_lightning.evaluation.sanity.figures import draw_maps, write_curves
from fullgrad_lightning.evaluation.sanity.results import SanityCurves
from fullgrad_lightning.evaluation.sanity.similarity import MEASURES
from fullgrad_lightning.utilities.files import atomic_write
from fullgrad_lightning.visualization import save_png

MEANING = (
    "Similarity of saliency maps to those of the original network, as its layers are "
    "re-initialised one after the other, from the output to the layer named. 1: the map has not "
    "noticed. "
    "After ±: half of the 95 % Student-t interval over samples."
)


def write_sanity_report(curves: SanityCurves, images: Tensor, folder: Path) -> str:
    """Writes what was found into a folder.

    ================= ===========================================================================
    file              what it is
    ================= ===========================================================================
    results.csv       one row per method, stage and sample: all measures
    table.md          means over samples with 95 % Student-t intervals
    sanity.png, .svg  rank correlation by stage, a curve for each method
    sanity_maps.png   maps: a row for each method, a column for each stage
    ================= ===========================================================================

    Args:
        curves: What ``check_randomization`` found.
        images: (P, 3, H, W) or more, float32 in [0, 1], as ``unnormalized`` makes them: the samples
            whose maps ``curves`` has kept, in the same order.
        folder: Made if need be.

    Returns:
        The text to print: the tables, and where the files are.

    Raises:
        ValueError: Images of another shape, or fewer than there are maps.
    """
    maps = draw_maps(curves, images)
    atomic_write(folder / "results.csv", csv_text(curves))
    atomic_write(folder / "table.md", markdown(curves))
    write_curves(curves, folder)
    save_png(maps, folder / "sanity_maps.png")
    parts = [fill(MEANING, WIDTH)]
    for measure in curves.measures:
        parts += [f"{MEASURES[measure]}:", as_text(table(curves, measure))]
    return "\n\n".join([*parts, f"Tables, curves and maps are in {folder}."])


def table(curves: SanityCurves, measure: str) -> Table:
    """Means over samples: a row for each method, a column for each stage after the original."""
    headings = [
        f"{depth} {name}"
        for depth, name in zip(curves.depths[1:], curves.headings[1:], strict=True)
    ]
    rows = [
        [method, *(_short(one) for one in curves.estimates(measure, method)[1:])]
        for method in curves.methods_of(measure)
    ]
    return [["method", *headings], *rows]


def markdown(curves: SanityCurves) -> str:
    """The text of ``table.md``."""
    samples = len(next(iter(curves.similarity["spearman"].values()))[0])
    parts = ["# Saliency maps of a network that forgets", MEANING]
    parts += [
        f"{samples} samples; {len(curves.layers)} layers. Columns: how many of them are "
        "re-initialised, and the last one of these."
    ]
    for measure in curves.measures:
        parts += [f"## {MEASURES[measure]}", as_markdown(table(curves, measure))]
    return "\n\n".join(parts) + "\n"


def csv_text(curves: SanityCurves) -> str:
    """All numbers: ``method``, ``depth``, ``layer``, ``sample``, and a column for each measure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "depth", "layer", "sample", *MEASURES])
    for method in curves.methods:
        by_measure = [curves.similarity[measure][method].tolist() for measure in MEASURES]
        for stage, (depth, name) in enumerate(zip(curves.depths, curves.headings, strict=True)):
            at_stage = zip(*(values[stage] for values in by_measure), strict=True)
            writer.writerows(
                [method, depth, name, sample, *values] for sample, values in enumerate(at_stage)
            )
    return text.getvalue()


def _short(of: Estimate) -> str:
    width = "" if of.half_width is None else f" ± {of.half_width:.2f}"
    return f"{round(of.mean, 2) + 0.0:.2f}{width}"  # zero without a sign
