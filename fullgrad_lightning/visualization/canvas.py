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
    """A white picture on which panels and text are drawn.

    Args:
        width, height: The size in pixels.

    Attributes:
        image: The picture so far.
    """

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
        place: tuple[float, float],
        font: FreeTypeFont,
        colour: Colour = INK,
        anchor: str = "la",
    ) -> None:
        """Draws a text; ``anchor`` is the part of it that stands at ``place``, as in Pillow."""
        self._pen.text(place, text, colour, font, anchor)

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
    """Panels side by side.

    Attributes:
        panels: Pictures of one size.
        title: A line above them; empty for none.
        headings: A text above each panel, on up to two lines; empty for none.
        keep: The end of a heading that is kept where it is too long.
    """

    panels: Sequence[Pixels]
    title: str = ""
    headings: Sequence[str] = ()
    keep: End = "start"


def panel_size(image: tuple[int, int], columns: int, width: int = WIDTH) -> tuple[int, int]:
    """Returns the height and width of panels that share a width and keep the shape of an image.

    Panels are at most twice as high as wide: a narrower image gets narrower ones.
    """
    image_height, image_width = image
    column_width = max(1, (width - 2 * MARGIN - (columns - 1) * GUTTER) // columns)
    scale = min(column_width / image_width, 2 * column_width / image_height)
    return max(1, round(image_height * scale)), max(1, round(image_width * scale))


def draw_rows(rows: Sequence[Row], columns: int, width: int = WIDTH) -> Canvas:
    """Draws rows below each other.

    Args:
        rows: Rows of up to ``columns`` panels each.
        columns: The number of panels among which the width is divided.
        width: The picture's width in pixels.
    """
    pitch = (width - 2 * MARGIN + GUTTER) / columns
    lefts = [MARGIN + round(pitch * i) for i in range(columns)]
    headers = [_Header(row, pitch - GUTTER) for row in rows]
    heights = [
        header.height + row.panels[0].shape[0] for header, row in zip(headers, rows, strict=True)
    ]
    canvas = Canvas(width, 2 * MARGIN + sum(heights) + GUTTER * (len(rows) - 1))
    top = MARGIN
    for row, header, height in zip(rows, headers, heights, strict=True):
        header.draw(canvas, lefts, top)
        for left, panel in zip(lefts, row.panels, strict=False):
            centred = left + (round(pitch) - GUTTER - panel.shape[1]) // 2
            canvas.paste(panel, centred, top + header.height)
        top += height + GUTTER
    return canvas


class _Header:
    """The text above the panels of a row: headings, then the title.

    Args:
        row: The row.
        column_width: The width of a column in pixels.

    Attributes:
        height: The text's height in pixels.
    """

    def __init__(self, row: Row, column_width: float) -> None:
        self._title, self._column_width = row.title, column_width
        self._font = load_font(TEXT if column_width >= NARROW else SMALL)
        self._headings = [
            wrap_text(text, column_width, self._font, keep=row.keep) for text in row.headings
        ]
        gap, count = GUTTER // 2, max(map(len, self._headings), default=0)  # the gap: below text
        self._line = sum(self._font.getmetrics())
        self._title_top = count * self._line + gap if count else 0
        title_height = sum(load_font(TEXT).getmetrics()) + gap if row.title else 0
        self.height = self._title_top + title_height
        self._headings_bottom = count * self._line

    def draw(self, canvas: Canvas, lefts: Sequence[int], top: int) -> None:
        for left, lines in zip(lefts, self._headings, strict=False):
            first = top + self._headings_bottom - len(lines) * self._line
            for i, line in enumerate(lines):  # the last line is next to the panel
                start = left + (self._column_width - self._font.getlength(line)) / 2
                canvas.write(line, (start, first + i * self._line), self._font, GREY)
        if self._title:
            font = load_font(TEXT)
            title = fit_text(self._title, canvas.image.width - 2 * MARGIN, font)
            canvas.write(title, (MARGIN, top + self._title_top), font)
