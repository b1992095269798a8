"""``examples.npz`` of the cells: the same few test images as each of their networks sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.reporting.text import percent
from fullgrad_lightning.roar.ledger import CellState
from fullgrad_lightning.roar.report.results import Results


@dataclass(frozen=True)
class Examples:
    """What is shown of the cells.

    Attributes:
        columns: Headings: the reference, then fractions.
        rows: Names of methods, and for each column an array (n, H, W, 3), uint8, or ``None``
            where a cell has not come so far.
        captions: A line for each of the n images.
    """

    columns: list[str]
    rows: list[tuple[str, list[NDArray[np.uint8] | None]]]
    captions: list[str]

    def only(self, i: int) -> Examples:
        """Image ``i`` alone."""
        rows = [
            (name, [None if images is None else images[i : i + 1] for images in panels])
            for name, panels in self.rows
        ]
        return Examples(self.columns, rows, self.captions[i : i + 1])


def gathered(results: Results) -> Examples | None:
    """The examples of each method, of its first seed that has some; ``None`` without any."""
    fractions = results.fractions(*results.methods)
    captions: list[str] = []
    rows = []
    for method in results.methods:
        files = [_first(results.references(method))]
        files += [_first(results.at(method, fraction)) for fraction in fractions]
        panels = [None if file is None else file.images for file in files]
        rows.append((results.title(method), panels))
        captions = captions or next((file.captions for file in files if file), [])
    if not captions:
        return None
    return Examples(["reference", *map(percent, fractions)], rows, captions)


@dataclass(frozen=True)
class _File:
    images: NDArray[np.uint8]
    captions: list[str]


def _first(cells: Sequence[CellState]) -> _File | None:
    """The file of the first cell that has one."""
    for cell in cells:
        path = cell.folder / "examples.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                numbered = [f"class {label}" for label in file["labels"]]
                classes = file.get("names", numbered)
                labelled = zip(file["indices"], classes, strict=True)
                captions = [f"test image {index}, {name}" for index, name in labelled]
                return _File(file["images"], captions)
    return None
