"""The grid as its folder tells it. Imports nothing that is slow to import."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fullgrad_lightning.evaluation.roar.jobs import CELLS, FAILURE, MAPS, RESULT, read_description
from fullgrad_lightning.utilities.locks import LOCK, is_locked

State = Literal["done", "failed", "running", "interrupted", "waiting"]
_SIGNS: dict[State, str] = {
    "done": "#", "failed": "!", "running": ">", "interrupted": "~", "waiting": ".",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CellState:
    """A training, planned or done.

    Args:
        folder: Its own.
        description: The content of ``cell.json``.
        method: The name of its series; ``"reference"`` for fraction 0.
        fraction: Share of the pixels that is chosen, 0…1.
        seed: Of the training.
        state: ``"waiting"``: not begun; ``"interrupted"``: begun, and nothing runs.
        result: What ``result.json`` says, once it is done.
        failure: The traceback, if it failed.
    """

    folder: Path
    description: dict[str, Any]
    method: str
    fraction: float
    seed: int
    state: State
    result: dict[str, Any] | None
    failure: str | None


class GridState:
    """What is there of a grid.

    Args:
        folder: The ``output`` of the grid.

    Attributes:
        folder: The same.
        config: The grid's resolved configuration.

    Raises:
        FileNotFoundError: No grid was ever started there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "grid.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing: there is no grid in {self.folder}. `fullgrad roar run` "
                "starts one."
            )
        content = json.loads(path.read_text(encoding="utf-8"))
        self.config: dict[str, Any] = content["config"]
        self._cells: list[str] = content["cells"]
        self._maps: list[str] = content["maps"]

    def cells(self) -> list[CellState]:
        """The cells of the grid, references first; those of earlier grids are left out."""
        return [self._cell(self.folder / CELLS / name) for name in self._cells]

    def maps(self) -> dict[str, State]:
        """The estimates, by the name of their folder."""
        return {name: _state(self.folder / MAPS / name) for name in self._maps}

    def table(self) -> str:
        """The whole grid on a page: a row for each series, a sign for each cell."""
        cells = self.cells()
        counts = Counter(cell.state for cell in cells)
        lines = [
            f"{self.folder}: {len(cells)} cells, "
            + ", ".join(f"{counts[state]} {state}" for state in _SIGNS if counts[state]),
            "",
            *_rows(cells),
            "",
            "a sign for each seed: "
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

    def _cell(self, folder: Path) -> CellState:
        description = read_description(folder)
        return CellState(
            folder=folder,
            description=description,
            **description["label"],
            state=_state(folder),
            result=_json(folder / RESULT),
            failure=(_json(folder / FAILURE) or {}).get("traceback"),
        )


def _state(folder: Path) -> State:
    # The result first: a cell that has one may still be closing its files.
    if (folder / RESULT).is_file():
        return "done"
    if is_locked(folder):
        return "running"
    if (folder / RESULT).is_file():  # it ended between the two looks
        return "done"
    if (folder / FAILURE).is_file():
        return "failed"
    return "interrupted" if (folder / LOCK).is_file() else "waiting"


def _rows(cells: Sequence[CellState]) -> list[str]:
    fractions = sorted({cell.fraction for cell in cells})
    signs: dict[str, dict[float, str]] = {}
    for cell in cells:
        row = signs.setdefault(cell.method, {})
        row[cell.fraction] = row.get(cell.fraction, "") + _SIGNS[cell.state]
    table = [["", *(f"{fraction:g}" for fraction in fractions)]]
    table += [[name, *(row.get(f, "") for f in fractions)] for name, row in signs.items()]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
