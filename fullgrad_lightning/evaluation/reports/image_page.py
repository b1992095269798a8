"""A page of images with pixels replaced: rows of methods, columns of fractions."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from PIL import Image

from fullgrad_lightning.utilities.indices import first_of_equal_parts
from fullgrad_lightning.visualization.canvas import GREY, Canvas, Pixels
from fullgrad_lightning.visualization.fonts import fit_text, load_font

SIDE, MAX_SIDE = 84, 128  # of a panel, in pixels: small images are enlarged, large ones shrunk
GAP, GROUP, MARGIN = 4, 24, 16
BLANK, FRAME = (240, 240, 240), (205, 205, 205)
MAX_NAME_WIDTH = 18  # of a method, in heights of letters


@dataclass(frozen=True)
class ImagePage:
    """The same few images as several methods change them.

    Attributes:
        columns: Headings: the original image, then fractions.
        rows: Names of methods, and for each column images (n, H, W, 3), or ``None`` where there
            are none yet.
        captions: A line for each of the n images.
    """

    columns: list[str]
    rows: list[tuple[str, list[Pixels | None]]]
    captions: list[str]

    def select(self, i: int) -> ImagePage:
        """Returns the page of image ``i`` alone."""
        rows = [
            (name, [None if images is None else images[i : i + 1] for images in panels])
            for name, panels in self.rows
        ]
        return ImagePage(self.columns, rows, self.captions[i : i + 1])


def example_batch(loader: Any, count: int) -> tuple[list[int], Any]:
    """Loads the first sample of each of ``count`` equal parts of a DataLoader's map-style data set.

    Returns the samples' indices, and the batch that the DataLoader makes of them.
    """
    indices = first_of_equal_parts(len(loader.dataset), count)
    return indices, loader.collate_fn([loader.dataset[i] for i in indices])


def draw_page(page: ImagePage, *, text_size: int = 15) -> Canvas:
    """Draws a block for each image, two side by side, with a row for each method.

    The original, where nothing is replaced, is the first column. Pixels of small images are
    enlarged to squares. Panels without an image are grey. Letters are ``text_size`` pixels high.
    """
    line, font = round(1.45 * text_size), load_font(text_size)
    names = [fit_text(name, MAX_NAME_WIDTH * text_size, font) for name, _ in page.rows]
    left = MARGIN + round(max(map(font.getlength, names))) + 10
    width, height = _panel_size(page)
    block = (
        len(page.columns) * (width + GAP) + GAP,  # a gap more beside the original
        2 * line + len(names) * (height + GAP),
    )
    across = min(2, len(page.captions))
    down = -(-len(page.captions) // across)
    canvas = Canvas(
        left + across * (block[0] + GROUP) - GROUP + MARGIN, down * (block[1] + GROUP) + MARGIN
    )
    for i, caption in enumerate(page.captions):
        x = left + (i % across) * (block[0] + GROUP)
        y = MARGIN + (i // across) * (block[1] + GROUP)
        canvas.write(caption, (x, y), font)
        starts = [x + j * (width + GAP) + GAP * (j > 0) for j in range(len(page.columns))]
        for start, heading in zip(starts, page.columns, strict=True):
            heading = fit_text(heading, width, font)
            canvas.write(heading, (start + width / 2, y + line), font, GREY, anchor="ma")
        for row, (name, (_, panels)) in enumerate(zip(names, page.rows, strict=True)):
            top = y + 2 * line + row * (height + GAP)
            if i % across == 0:
                canvas.write(name, (left - 10, top + height / 2), font, anchor="rm")
            for start, images in zip(starts, panels, strict=True):
                canvas.box((start - 1, top - 1, start + width, top + height), BLANK, FRAME)
                if images is not None and i < len(images):
                    canvas.paste(_resize(images[i], (width, height)), start, top)
    return canvas


def _panel_size(page: ImagePage) -> tuple[int, int]:
    """Returns the width and height of the panels, by the first image that there is."""
    first = next(images for _, panels in page.rows for images in panels if images is not None)
    height, width = first.shape[1:3]
    scale = min(max(1, ceil(SIDE / max(height, width))), MAX_SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    enlarged = image.shape[1] <= size[0]
    resampling = Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize(size, resampling))
