"""The accuracies of a grid's cells by method, fraction and seed, and their statistics over seeds.

A *level* is a position on the axis of fractions. Every method's curve has the fractions of its
cells, and the reference: where pixels are removed it is at 0, where they are kept (KAR) at 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fullgrad_lightning.evaluation.reports.statistics import (
    BASELINE,
    Estimate,
    area,
    difference,
    estimate,
)
from fullgrad_lightning.evaluation.reports.tables import one_line
from fullgrad_lightning.evaluation.roar.grid_state import CellState
from fullgrad_lightning.visualization.display_names import display_name


class GridResults:
    """The cells of a grid, in the order in which they are reported.

    Args:
        cells: Cells of all states; fraction 0 is the reference, which all methods share.

    Attributes:
        cells: The cells of the reference first, then by method, fraction and seed.
        methods: The names of the methods, in the order of the grid, without the reference.
        maskings: The replacement of pixels in the cells of each method: ``order``, ``remove``,
            ``fill``, ``mask_only``.
        order: The pixels that are chosen first, as words.
        remove: True if the fraction is replaced, False if it is kept.
        fill: The rule for the new values of pixels, as words.
    """

    def __init__(self, cells: Sequence[CellState]) -> None:
        self.methods = list(dict.fromkeys(cell.method for cell in cells if cell.fraction > 0))
        numbers = {method: number for number, method in enumerate(self.methods)}
        self.cells = sorted(
            cells,
            key=lambda cell: (
                cell.fraction > 0, numbers.get(cell.method, 0), cell.fraction, cell.seed
            ),
        )  # fmt: skip
        self._references = {cell.seed: cell for cell in self.cells if cell.fraction == 0}
        self._cells = {(c.method, c.fraction, c.seed): c for c in self.cells if c.fraction > 0}
        self.maskings: dict[str, dict[str, Any]] = {
            method: cell.description["masking"] for (method, *_), cell in self._cells.items()
        }
        masking = next(iter(self.maskings.values()), {})  # these are the same for a whole grid
        self.order: str = masking.get("order", "most_salient").replace("_", " ")
        self.remove: bool = masking.get("remove", True)
        self.fill: str = masking.get("fill", "mean").replace("_", " ")

    @property
    def num_done(self) -> int:
        """The number of cells that have a result."""
        return sum(cell.result is not None for cell in self.cells)

    @property
    def reference_level(self) -> float:
        """The position of the reference on the axis of fractions."""
        return 0.0 if self.remove else 1.0

    def fractions(self, *methods: str) -> list[float]:
        """Returns the fractions of the cells of any of the methods, ascending, done or not."""
        return sorted({fraction for method, fraction, _ in self._cells if method in methods})

    def levels(self, method: str) -> list[float]:
        """Returns the levels of a method's curve, ascending: its fractions and the reference."""
        return sorted({*self.fractions(method), self.reference_level})

    def seeds(self, method: str) -> list[int]:
        """Returns the seeds of a method, ascending, done or not."""
        return sorted({seed for name, _, seed in self._cells if name == method})

    def at(self, method: str, level: float) -> list[CellState]:
        """Returns the cells of a method's seeds at a level, or the references, done or not."""
        cells = [self._cells.get((method, level, seed)) for seed in self.seeds(method)]
        if level == self.reference_level and not any(cells):
            return self.references(method)
        return [cell for cell in cells if cell is not None]

    def references(self, method: str) -> list[CellState]:
        """Returns the reference's cells of a method's seeds, done or not."""
        return [self._references[s] for s in self.seeds(method) if s in self._references]

    def accuracies(self, method: str, level: float) -> dict[int, float]:
        """Returns the test accuracy in 0…1 by seed, of the cells that are done."""
        return _accuracies(self.at(method, level))

    def areas(self, method: str) -> dict[int, float]:
        """Returns the area under a method's curve by seed, of seeds whose cells are all done."""
        levels = self.levels(method)
        curves = [self.accuracies(method, level) for level in levels]
        return {
            seed: area(levels, [curve[seed] for curve in curves])
            for seed in self.seeds(method)
            if all(seed in curve for curve in curves)
        }

    def mean_reference(self) -> Estimate | None:
        """Returns the mean accuracy of the references; ``None`` if none is done."""
        return estimate(list(_accuracies(list(self._references.values())).values()))

    def mean_accuracy(self, method: str, level: float) -> Estimate | None:
        """Returns a method's mean accuracy at a level; ``None`` if no cell is done."""
        return estimate(list(self.accuracies(method, level).values()))

    def mean_area(self, method: str) -> Estimate | None:
        """Returns the mean area under a method's curve; ``None`` if no seed's curve is complete."""
        return estimate(list(self.areas(method).values()))

    def accuracy_difference(self, method: str, level: float) -> Estimate | None:
        """Returns a method's accuracy minus that of ``random``, at a level and paired by seed."""
        others = self.accuracies(BASELINE, level) if BASELINE in self.methods else {}
        return difference(self.accuracies(method, level), others)

    def area_difference(self, method: str) -> Estimate | None:
        """Returns a method's area minus that of ``random``, paired by seed, of equal levels."""
        if BASELINE not in self.methods or self.levels(method) != self.levels(BASELINE):
            return None
        return difference(self.areas(method), self.areas(BASELINE))

    def is_mask_only(self, method: str) -> bool:
        """Returns True for a control, whose networks get the mask instead of the image."""
        return bool(self.maskings[method]["mask_only"])

    def title(self, method: str) -> str:
        """Returns the method's name in tables: that of the grid, marked if it is a control."""
        return one_line(method) + " (mask only)" * self.is_mask_only(method)

    def heading(self, method: str) -> str:
        """Returns the method's name in figures, marked if it is a control."""
        return one_line(display_name(method)) + " (mask only)" * self.is_mask_only(method)


def _accuracies(cells: Sequence[CellState]) -> dict[int, float]:
    return {cell.seed: float(cell.result["test_accuracy"]) for cell in cells if cell.result}
