"""The report of a benchmark, also half-way; imports no torch."""

from __future__ import annotations

from pathlib import Path

from fullgrad_lightning.evaluation.perturbation.report.figures import write_figures
from fullgrad_lightning.evaluation.perturbation.report.results import Results
from fullgrad_lightning.evaluation.perturbation.report.tables import (
    console,
    csv_text,
    markdown,
    progress,
)
from fullgrad_lightning.utilities.files import atomic_write

__all__ = ["write_report"]


def write_report(results: Results, folder: Path) -> str:
    """Writes ``table.md``, ``results.csv`` and a figure for each score, anew each time.

    Args:
        results: Of the methods that are done.
        folder: Of the report; it is made if need be.

    Returns:
        The text to print: the tables, and where the files are.
    """
    atomic_write(folder / "results.csv", csv_text(results))
    atomic_write(folder / "table.md", markdown(results))
    paths = "\n".join(f"  {path}" for path in write_figures(results, folder))
    return f"{progress(results)}{console(results)}\n\nTables are in {folder}, curves in\n{paths}"
