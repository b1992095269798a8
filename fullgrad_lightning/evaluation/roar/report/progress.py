"""How far a grid is, in a few lines of text."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import get_args

from fullgrad_lightning.evaluation.reports.tables import WIDTH, one_line, percent, shortened
from fullgrad_lightning.evaluation.roar.grid_state import CellState, State
from fullgrad_lightning.evaluation.roar.report.results import Results

MOST_FAILURES = 5  # that are told one by one


def progress(results: Results) -> str:
    """How many cells are in which state, and a line for each failure: where and what."""
    counts = Counter(cell.state for cell in results.cells)
    total = len(results.cells)
    parts = [f"{counts['done']} of {total} cell{'s' * (total != 1)} done"]
    parts += [f"{counts[state]} {state}" for state in get_args(State)[1:] if counts[state]]
    failed = [cell for cell in results.cells if cell.state == "failed"]
    lines = [
        shortened(f"- failed: {label(cell)}: {last_line(cell)}", WIDTH)
        for cell in failed[:MOST_FAILURES]
    ]
    if len(failed) > MOST_FAILURES:
        lines.append(f"- … and {len(failed) - MOST_FAILURES} more failed")
    return "\n".join([", ".join(parts) + ("." if not lines else ":"), *lines])


def timing(results: Results) -> str:
    """How long cells took, and how much of it was not training; empty before the first is done."""
    seconds = [cell.result["seconds"] for cell in results.cells if cell.result]
    if not seconds:
        return ""
    total, outside = (sum(one[key] for one in seconds) for key in ("total", "outside"))
    typical = median(one["total"] for one in seconds)
    return (
        f"A cell took {typical:.0f} s (median), all together {duration(total)}; "
        f"{percent(round(outside / total, 2))} of it outside training (start, imports, data)."
    )


def duration(seconds: float) -> str:
    """Minutes, or hours from two on.

    Examples:
        >>> duration(300.0), duration(9000.0)
        ('5 min', '2.5 h')
    """
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"


def label(cell: CellState) -> str:
    """A cell's place in the grid, as words."""
    where = f"{one_line(cell.method)} at {percent(cell.fraction)}" if cell.fraction else "reference"
    return f"{where}, seed {cell.seed}"


def last_line(cell: CellState) -> str:
    """The end of a traceback: the error itself."""
    lines = (cell.failure or "").strip().splitlines() or ["no traceback was left"]
    return one_line(lines[-1].strip())
