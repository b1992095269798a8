"""``examples.npz`` of the cells: the same few test images as the input of each network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fullgrad_lightning.evaluation.reports.image_page import ImagePage
from fullgrad_lightning.evaluation.reports.tables import percent
from fullgrad_lightning.evaluation.roar.grid_state import CellState
from fullgrad_lightning.evaluation.roar.jobs import EXAMPLES
from fullgrad_lightning.evaluation.roar.report.results import GridResults
from fullgrad_lightning.visualization.canvas import Pixels


def read_examples(results: GridResults) -> ImagePage | None:
    """Reads the examples of each method's first seed that has some; ``None`` without any."""
    fractions = results.fractions(*results.methods)
    captions: list[str] = []
    rows = []
    for method in results.methods:
        cells = [results.references(method)]
        cells += [results.at(method, fraction) for fraction in fractions]
        contents = [_read_first(seeds) for seeds in cells]
        rows.append((results.heading(method), [images for images, _ in contents]))
        captions = captions or next((lines for _, lines in contents if lines), [])
    if not captions:
        return None
    return ImagePage(["reference", *map(percent, fractions)], rows, captions)


def _read_first(cells: Sequence[CellState]) -> tuple[Pixels | None, list[str]]:
    """Reads images and captions of the first cell that has the file."""
    for cell in cells:
        path = cell.folder / EXAMPLES
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                numbered = [f"class {label}" for label in file["labels"]]
                named = zip(file["indices"], file.get("names", numbered), strict=True)
                return file["images"], [f"test image {index}, {name}" for index, name in named]
    return None, []
