"""The progress of a grid, in a few lines of text."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import get_args

from fullgrad_lightning.evaluation.reports.tables import WIDTH, one_line, percent, shorten
from fullgrad_lightning.evaluation.roar.grid_state import CellState, State
from fullgrad_lightning.evaluation.roar.report.results import GridResults

MAX_FAILURES = 5  # that are listed one by one


def format_progress(results: GridResults) -> str:
    """Formats the number of cells in each state, and a line for each failure: cell and error."""
    counts = Counter(cell.state for cell in results.cells)
    total = len(results.cells)
    parts = [f"{counts['done']} of {total} cell{'s' * (total != 1)} done"]
    parts += [f"{counts[state]} {state}" for state in get_args(State)[1:] if counts[state]]
    failed = [cell for cell in results.cells if cell.state == "failed"]
    lines = [
        shorten(f"- failed: {_describe(cell)}: {_error(cell)}", WIDTH)
        for cell in failed[:MAX_FAILURES]
    ]
    if len(failed) > MAX_FAILURES:
        lines.append(f"- … and {len(failed) - MAX_FAILURES} more failed")
    return "\n".join([", ".join(parts) + ("." if not lines else ":"), *lines])


def format_timing(results: GridResults) -> str:
    """Formats the cells' duration and its share outside training; empty if no cell is done."""
    seconds = [cell.result["seconds"] for cell in results.cells if cell.result]
    if not seconds:
        return ""
    total, outside = (sum(cell[key] for cell in seconds) for key in ("total", "outside"))
    typical = median(cell["total"] for cell in seconds)
    return (
        f"A cell took {typical:.0f} s (median), all together {format_duration(total)}; "
        f"{percent(round(outside / total, 2))} of it outside training (start, imports, data)."
    )


def format_duration(seconds: float) -> str:
    """Formats a duration in minutes, or in hours from two on.

    Examples:
        >>> format_duration(300.0), format_duration(9000.0)
        ('5 min', '2.5 h')
    """
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"


def _describe(cell: CellState) -> str:
    """The labels of a cell, as words."""
    series = (
        f"{one_line(cell.method)} at {percent(cell.fraction)}" if cell.fraction else "reference"
    )
    return f"{series}, seed {cell.seed}"


def _error(cell: CellState) -> str:
    """The last line of a traceback."""
    lines = (cell.failure or "").strip().splitlines() or ["no traceback was left"]
    return one_line(lines[-1].strip())
