"""The state of a grid, read from its folder. Imports no torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fullgrad_lightning.evaluation.reports.tables import Table, as_text
from fullgrad_lightning.evaluation.roar.jobs import (
    CELLS,
    FAILURE,
    GRID,
    MAPS,
    RESULT,
    read_description,
)
from fullgrad_lightning.utilities.locks import LOCK, is_locked

# Waiting: not started; interrupted: started, and no process runs.
State = Literal["done", "failed", "running", "interrupted", "waiting"]
_SIGNS: dict[State, str] = {
    "done": "#", "failed": "!", "running": ">", "interrupted": "~", "waiting": ".",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CellState:
    """A training, planned or done, with the labels and the content of its files."""

    folder: Path
    description: dict[str, Any]  # ``cell.json``: label, components and masking
    method: str  # the name of its series
    fraction: float  # of the pixels that is chosen, 0…1; 0: the reference
    seed: int
    state: State
    result: dict[str, Any] | None  # ``result.json``, once the cell is done
    failure: str | None  # the traceback


class GridState:
    """The state of the grid in a folder, its ``output``, and of its cells.

    Raises:
        FileNotFoundError: No grid was ever started in the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        content = _read_json(self.folder / GRID)
        if content is None:
            raise FileNotFoundError(
                f"{self.folder / GRID} is missing: there is no grid in {self.folder}. `fullgrad "
                "roar run` starts one."
            )
        self.config: dict[str, Any] = content["config"]  # resolved
        self._cells: list[str] = content["cells"]
        self._maps: list[str] = content["maps"]

    def cells(self) -> list[CellState]:
        """The cells of the grid, references first; cells of earlier grids are left out."""
        return [_read_cell(self.folder / CELLS / name) for name in self._cells]

    def maps(self) -> dict[str, State]:
        """The state of each store of saliency maps, by the name of its folder."""
        return {name: _read_state(self.folder / MAPS / name) for name in self._maps}

    def table(self) -> str:
        """The whole grid as text: a row for each series, a sign for each cell."""
        cells = self.cells()
        counts = Counter(cell.state for cell in cells)
        lines = [
            f"{self.folder}: {len(cells)} cells, "
            + ", ".join(f"{counts[state]} {state}" for state in _SIGNS if counts[state]),
            "",
            as_text(_sign_table(cells)),
            "",
            "one sign for each seed: "
            + ", ".join(f"{sign} {state}" for state, sign in _SIGNS.items()),
        ]
        maps = self.maps()
        unfinished = [f"  {name}: {state}" for name, state in maps.items() if state != "done"]
        if maps:
            done = len(maps) - len(unfinished)
            lines += ["", f"maps: {done} of {len(maps)} done", *unfinished]
        for cell in cells:
            if cell.failure is not None:
                last = cell.failure.strip().splitlines()[-1]
                lines += ["", f"{cell.folder.name} failed: {last}", f"  {cell.folder / FAILURE}"]
        return "\n".join(lines)


def _read_cell(folder: Path) -> CellState:
    description = read_description(folder)
    return CellState(
        folder=folder,
        description=description,
        **description["label"],
        state=_read_state(folder),
        result=_read_json(folder / RESULT),
        failure=(_read_json(folder / FAILURE) or {}).get("traceback"),
    )


def _read_state(folder: Path) -> State:
    # The result first: a cell that has one may still be closing its files.
    if (folder / RESULT).is_file():
        return "done"
    if is_locked(folder):
        return "running"
    if (folder / RESULT).is_file():  # written since the first check
        return "done"
    if (folder / FAILURE).is_file():
        return "failed"
    return "interrupted" if (folder / LOCK).is_file() else "waiting"


def _sign_table(cells: Sequence[CellState]) -> Table:
    fractions = sorted({cell.fraction for cell in cells})
    signs: dict[str, dict[float, str]] = {}
    for cell in cells:
        row = signs.setdefault(cell.method, {})
        row[cell.fraction] = row.get(cell.fraction, "") + _SIGNS[cell.state]
    rows = [[name, *(row.get(f, "") for f in fractions)] for name, row in signs.items()]
    return [["", *(f"{fraction:g}" for fraction in fractions)], *rows]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
