"""The canvas of all pictures, and rows of panels with text above them. Imports no torch.

Shapes: pictures and panels are (height, width, 3), uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont

from fullgrad_lightning.visualization.fonts import End, fit_text, load_font, wrap_text

Pixels: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]

INK, GREY = (30, 30, 30), (110, 110, 110)  # headings are grey: they are not titles
WIDTH = 700  # TensorBoard shows pictures some 350 pixels wide: half of this
TEXT = 20  # legible at half of it
SMALL, NARROW = 14, 112  # text above panels narrower than this, in pixels
MARGIN, GUTTER = 6, 8  # so that three panels of 224 pixels fill the width


class Canvas:
    """A white picture of a size in pixels, on which panels and text are drawn."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), "white")
        self._pen = ImageDraw.Draw(self.image)

    @property
    def pixels(self) -> Pixels:
        """A copy of the picture as an array."""
        return np.array(self.image)

    def paste(self, panel: Pixels, left: int, top: int) -> None:
        """Draws a panel, its upper left corner at (left, top)."""
        self.image.paste(Image.fromarray(panel), (left, top))

    def write(
        self,
        text: str,
        point: tuple[float, float],
        font: FreeTypeFont,
        colour: Colour = INK,
        anchor: str = "la",
    ) -> None:
        """Draws a text; ``anchor`` is the part of it that stands at ``point``, as in Pillow."""
        self._pen.text(point, text, colour, font, anchor)

    def box(self, corners: tuple[int, int, int, int], fill: Colour, outline: Colour) -> None:
        """Draws a rectangle, of which left, top, right and bottom are the outermost pixels."""
        self._pen.rectangle(corners, fill, outline)

    def to_png(self) -> bytes:
        """Returns the picture as a PNG file."""
        content = BytesIO()
        self.image.save(content, format="png")
        return content.getvalue()


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels of one size side by side, below texts."""

    panels: Sequence[Pixels]
    title: str = ""  # a line above all of them
    headings: Sequence[str] = ()  # a text above each panel, on up to two lines
    keep: End = "start"  # of a heading that is too long


def panel_size(image: tuple[int, int], columns: int, width: int = WIDTH) -> tuple[int, int]:
    """Returns the height and width of panels that share a width and keep the shape of an image.

    Panels are at most twice as high as wide: a narrower image gets narrower ones.
    """
    image_height, image_width = image
    column_width = max(1, (width - 2 * MARGIN - (columns - 1) * GUTTER) // columns)
    scale = min(column_width / image_width, 2 * column_width / image_height)
    return max(1, round(image_height * scale)), max(1, round(image_width * scale))


def draw_rows(rows: Sequence[Row], columns: int, width: int = WIDTH) -> Canvas:
    """Draws rows of up to ``columns`` panels below each other, ``width`` pixels wide."""
    pitch = (width - 2 * MARGIN + GUTTER) / columns
    lefts, room = [MARGIN + round(pitch * i) for i in range(columns)], pitch - GUTTER
    title_font, font = load_font(TEXT), load_font(TEXT if room >= NARROW else SMALL)
    line, gap = sum(font.getmetrics()), GUTTER // 2  # the gap: below text
    wrapped = [
        [wrap_text(text, room, font, keep=row.keep) for text in row.headings] for row in rows
    ]
    counts = [max(map(len, headings), default=0) for headings in wrapped]
    title_tops = [line * count + gap * (count > 0) for count in counts]
    title_height = sum(title_font.getmetrics()) + gap
    panel_tops = [
        top + title_height * bool(row.title) for top, row in zip(title_tops, rows, strict=True)
    ]
    heights = [top + len(row.panels[0]) for top, row in zip(panel_tops, rows, strict=True)]
    canvas = Canvas(width, 2 * MARGIN + sum(heights) + GUTTER * (len(rows) - 1))
    top = MARGIN
    for i, row in enumerate(rows):
        for left, lines in zip(lefts, wrapped[i], strict=False):
            for j, text in enumerate(lines, counts[i] - len(lines)):  # the last next to the panel
                start = left + (room - font.getlength(text)) / 2
                canvas.write(text, (start, top + line * j), font, GREY)
        title = fit_text(row.title, width - 2 * MARGIN, title_font)
        canvas.write(title, (MARGIN, top + title_tops[i]), title_font)
        for left, panel in zip(lefts, row.panels, strict=False):
            left += (round(pitch) - GUTTER - panel.shape[1]) // 2
            canvas.paste(panel, left, top + panel_tops[i])
        top += heights[i] + GUTTER
    return canvas
