"""``examples.npz`` of the cells: the same few test images as each of their networks sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.evaluation.reports.image_page import Examples
from fullgrad_lightning.evaluation.reports.tables import percent
from fullgrad_lightning.evaluation.roar.grid_state import CellState
from fullgrad_lightning.evaluation.roar.jobs import EXAMPLES
from fullgrad_lightning.evaluation.roar.report.results import Results


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
        path = cell.folder / EXAMPLES
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                numbered = [f"class {label}" for label in file["labels"]]
                classes = file.get("names", numbered)
                labelled = zip(file["indices"], classes, strict=True)
                captions = [f"test image {index}, {name}" for index, name in labelled]
                return _File(file["images"], captions)
    return None
