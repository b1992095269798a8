"""The report of a perturbation benchmark, complete or not; imports no torch."""

from __future__ import annotations

from pathlib import Path

from fullgrad_lightning.evaluation.perturbation.report import tables
from fullgrad_lightning.evaluation.perturbation.report.figures import write_figures
from fullgrad_lightning.evaluation.perturbation.report.results import PerturbationResults
from fullgrad_lightning.utilities.files import atomic_write


def write_report(results: PerturbationResults, folder: Path) -> str:
    """Writes ``table.md``, ``results.csv`` and a figure for each score, in place of earlier ones.

    Returns the text to print: the tables, and the paths of the files.
    """
    atomic_write(folder / "results.csv", tables.format_csv(results))
    atomic_write(folder / "table.md", tables.format_markdown(results))
    paths = "\n".join(f"  {path}" for path in write_figures(results, folder))
    return f"{tables.format_console(results)}\n\nTables are in {folder}, curves in\n{paths}"
