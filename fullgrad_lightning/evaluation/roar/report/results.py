"""What the cells of a grid measured, by method, fraction and seed.

A *level* is a place on the axis of fractions. Every method's curve has the fractions of its cells,
and the reference: where pixels are removed it stands at 0, where they are kept (KAR) at 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fullgrad_lightning.evaluation.reports.tables import one_line
from fullgrad_lightning.evaluation.roar.grid_state import CellState


class Results:
    """The cells of a grid, in the order in which they are reported.

    Args:
        cells: Of all states; fraction 0 is the reference, which all methods share.

    Attributes:
        cells: Those of the reference first, then by method, fraction and seed.
        methods: Their names, in the order of the ledger, without the reference.
        maskings: How the cells of each method replace pixels: ``order``, ``remove``, ``fill``,
            ``mask_only``.
        order: Which pixels are chosen first, as words.
        remove: Whether the fraction is what is replaced, not what is kept.
        fill: What replaces pixels, as words.
    """

    def __init__(self, cells: Sequence[CellState]) -> None:
        self.methods = list(dict.fromkeys(cell.method for cell in cells if cell.fraction > 0))
        places = {method: place for place, method in enumerate(self.methods)}
        self.cells = sorted(
            cells,
            key=lambda cell: (
                cell.fraction > 0, places.get(cell.method, 0), cell.fraction, cell.seed
            ),
        )  # fmt: skip
        self._references = {cell.seed: cell for cell in self.cells if cell.fraction == 0}
        self._cells = {(c.method, c.fraction, c.seed): c for c in self.cells if c.fraction > 0}
        one_of_each = {method: cell for (method, *_), cell in self._cells.items()}
        self.maskings: dict[str, dict[str, Any]] = {
            method: cell.description["masking"] for method, cell in one_of_each.items()
        }
        masking = next(iter(self.maskings.values()), {})  # these are the same for a whole grid
        self.order: str = masking.get("order", "most_salient").replace("_", " ")
        self.remove: bool = masking.get("remove", True)
        self.fill: str = masking.get("fill", "mean").replace("_", " ")

    @property
    def reference_level(self) -> float:
        """Where on the axis of fractions the reference stands."""
        return 0.0 if self.remove else 1.0

    def fractions(self, *methods: str) -> list[float]:
        """The fractions at which any of some methods is retrained, ascending, done or not."""
        return sorted({fraction for method, fraction, _ in self._cells if method in methods})

    def levels(self, method: str) -> list[float]:
        """The levels of a method's curve, ascending: its fractions and the reference."""
        return sorted({*self.fractions(method), self.reference_level})

    def seeds(self, method: str) -> list[int]:
        """The seeds of a method, ascending, done or not."""
        return sorted({seed for name, _, seed in self._cells if name == method})

    def at(self, method: str, level: float) -> list[CellState]:
        """The cells of a method's seeds at a level, done or not; maybe those of the reference."""
        found = [self._cells.get((method, level, seed)) for seed in self.seeds(method)]
        if level == self.reference_level and not any(found):
            return self.references(method)
        return [cell for cell in found if cell is not None]

    def references(self, method: str) -> list[CellState]:
        """The reference's cells of a method's seeds, done or not."""
        return [self._references[s] for s in self.seeds(method) if s in self._references]

    def accuracies(self, method: str, level: float) -> dict[int, float]:
        """Test accuracy in 0…1 by seed, of the cells that are done."""
        return _accuracies(self.at(method, level))

    def reference(self) -> dict[int, float]:
        """Test accuracy in 0…1 by seed, of the references that are done."""
        return _accuracies(list(self._references.values()))

    def is_mask_only(self, method: str) -> bool:
        """Whether the method's networks see the mask instead of the image: a control."""
        return bool(self.maskings[method]["mask_only"])

    def title(self, method: str) -> str:
        """A method's name as people read it: as the grid calls it, and whether it is a control."""
        return one_line(method) + " (mask only)" * self.is_mask_only(method)


def _accuracies(cells: Sequence[CellState]) -> dict[int, float]:
    return {cell.seed: float(cell.result["test_accuracy"]) for cell in cells if cell.result}
