"""A page of images from which pixels were removed: people must see what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

SIDE, LARGEST = 84, 128  # of a panel, in pixels: small images are enlarged, large ones shrunk
GAP, GROUP, MARGIN = 4, 24, 16
BLANK, FRAME = (240, 240, 240), (205, 205, 205)
INK, GREY = (30, 30, 30), (110, 110, 110)
LONGEST_NAME = 18  # of a method, in heights of letters


@dataclass(frozen=True)
class Examples:
    """The same few images as several methods change them.

    Attributes:
        columns: Headings: the image as it is, then fractions.
        rows: Names of methods, and for each column an array (n, H, W, 3), uint8, or ``None``
            where there is none yet.
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


def draw_page(examples: Examples, *, text: int = 15) -> Image.Image:
    """A block for each image, two side by side: a row for each method, a column for each fraction.

    The reference, where nothing is replaced, comes first. Pixels of small images are enlarged to
    squares. Panels of cells that have not come so far are grey.

    Args:
        examples: What is shown.
        text: Height of letters, in pixels.
    """
    line = round(1.45 * text)
    # Pillow's own font lacks é and ×; matplotlib brings DejaVu Sans.
    letters = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), text)
    names = [_fitting(name, LONGEST_NAME * text, letters) for name, _ in examples.rows]
    left = MARGIN + round(max(map(letters.getlength, names))) + 10
    broad, high = _panel(examples)
    block = (
        len(examples.columns) * (broad + GAP) + GAP,  # a gap more beside the reference
        2 * line + len(names) * (high + GAP),
    )
    across = min(2, len(examples.captions))
    down = -(-len(examples.captions) // across)
    page = Image.new(
        "RGB",
        (left + across * (block[0] + GROUP) - GROUP + MARGIN, down * (block[1] + GROUP) + MARGIN),
        "white",
    )
    pen = ImageDraw.Draw(page)
    for i, caption in enumerate(examples.captions):
        x = left + (i % across) * (block[0] + GROUP)
        y = MARGIN + (i // across) * (block[1] + GROUP)
        pen.text((x, y), caption, INK, letters)
        lefts = [x + j * (broad + GAP) + GAP * (j > 0) for j in range(len(examples.columns))]
        for start, heading in zip(lefts, examples.columns, strict=True):
            heading = _fitting(heading, broad, letters)
            pen.text((start + broad / 2, y + line), heading, GREY, letters, anchor="ma")
        for row, (name, (_, panels)) in enumerate(zip(names, examples.rows, strict=True)):
            top = y + 2 * line + row * (high + GAP)
            if i % across == 0:
                pen.text((left - 10, top + high / 2), name, INK, letters, anchor="rm")
            for start, images in zip(lefts, panels, strict=True):
                pen.rectangle((start - 1, top - 1, start + broad, top + high), BLANK, FRAME)
                if images is not None and i < len(images):
                    page.paste(_resized(images[i], (broad, high)), (start, top))
    return page


def png(page: Image.Image) -> bytes:
    """The page as a PNG file."""
    file = BytesIO()
    page.save(file, format="png")
    return file.getvalue()


def _panel(examples: Examples) -> tuple[int, int]:
    """Width and height of the panels, by the first image that there is."""
    first = next(images for _, panels in examples.rows for images in panels if images is not None)
    high, broad = first.shape[1:3]
    longest = max(high, broad)
    scale = min(max(1, ceil(SIDE / longest)), LARGEST / longest)
    return max(1, round(broad * scale)), max(1, round(high * scale))


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    enlarged = image.shape[1] <= size[0]
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX
    return Image.fromarray(image).resize(size, how)


def _fitting(text: str, width: float, letters: FreeTypeFont) -> str:
    """As much of a text as fits, with an ellipsis for what does not."""
    if letters.getlength(text) <= width:
        return text
    count = len(text) - 1
    while count and letters.getlength(text[:count] + "…") > width:
        count -= 1
    return text[:count] + "…"
