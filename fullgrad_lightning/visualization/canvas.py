"""A sheet of pictures in rows and columns, with text above: what all grids are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fullgrad_lightning.visualization.fonts import font, shortened, wrapped

WIDTH = 700  # TensorBoard shows pictures some 350 pixels wide: half of this
TEXT = 20  # legible at half of it
SMALL, NARROW = 14, 112  # text above panels narrower than this, in pixels
MARGIN, GUTTER = 6, 8  # so that three panels of 224 pixels fill the width
HEADING = 110  # grey, so that headings are not read as titles


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels side by side.

    Attributes:
        panels: Pictures (3, h, w), uint8, all of one size.
        title: A line above them; empty for none.
        headings: A text above each panel, on up to two lines; empty for none.
        keep: Which end of a heading is kept where it is too long.
    """

    panels: Sequence[Tensor]
    title: str = ""
    headings: Sequence[str] = ()
    keep: Literal["start", "end"] = "start"


def panel_size(image: tuple[int, int], columns: int, width: int = WIDTH) -> tuple[int, int]:
    """The height and width of panels that share a width and keep the shape of an image.

    Panels are at most twice as high as wide: a narrower image gets narrower ones.
    """
    height, broad = image
    side = max(1, (width - 2 * MARGIN - (columns - 1) * GUTTER) // columns)
    scale = min(side / broad, 2 * side / height)
    return max(1, round(height * scale)), max(1, round(broad * scale))


def sheet(rows: Sequence[Row], columns: int, width: int = WIDTH) -> Tensor:
    """Draws rows below each other on white.

    Args:
        rows: With up to ``columns`` panels each.
        columns: Among how many panels the width is divided.
        width: Of the picture, in pixels.

    Returns:
        (3, height, width), uint8.
    """
    pitch = (width - 2 * MARGIN + GUTTER) / columns
    lefts = [MARGIN + round(pitch * i) for i in range(columns)]
    texts = [_text(row, lefts, pitch - GUTTER, width) for row in rows]
    heights = [len(text) + row.panels[0].shape[1] for text, row in zip(texts, rows, strict=True)]
    height = 2 * MARGIN + sum(heights) + GUTTER * (len(rows) - 1)
    canvas = torch.full((3, height, width), 255, dtype=torch.uint8)
    top = MARGIN
    for text, row in zip(texts, rows, strict=True):
        canvas[:, top : top + len(text)] = text
        top += len(text)
        for left, panel in zip(lefts, row.panels, strict=False):
            _, high, broad = panel.shape
            left += (round(pitch) - GUTTER - broad) // 2
            canvas[:, top : top + high, left : left + broad] = panel
        top += row.panels[0].shape[1] + GUTTER
    return canvas


def as_bytes(pictures: Tensor) -> Tensor:
    """Values in [0, 1] as uint8, rounded."""
    return pictures.mul(255).round_().to(torch.uint8)


def as_pil(picture: Tensor) -> Image.Image:
    """A uint8 tensor (3, H, W) as a Pillow image."""
    return Image.merge("RGB", [Image.fromarray(channel.numpy()) for channel in picture.cpu()])


def _text(row: Row, lefts: Sequence[int], broad: float, width: int) -> Tensor:
    """What stands above the panels of a row, (height, width), uint8."""
    letters, heading_letters = font(TEXT), font(TEXT if broad >= NARROW else SMALL)
    line, heading_line = sum(letters.getmetrics()), sum(heading_letters.getmetrics())
    heads = [wrapped(text, broad, heading_letters, keep=row.keep) for text in row.headings]
    count = max(map(len, heads), default=0)
    if not count and not row.title:
        return torch.empty(0, width, dtype=torch.uint8)
    gap = GUTTER // 2  # below text
    height = (count * heading_line + gap if count else 0) + (line + gap if row.title else 0)
    strip = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(strip)
    for left, texts in zip(lefts, heads, strict=False):
        for i, text in enumerate(texts):  # the last line next to the panel
            start = left + (broad - heading_letters.getlength(text)) / 2
            place = (start, heading_line * (count - len(texts) + i))
            pen.text(place, text, HEADING, heading_letters)
    if row.title:
        title = shortened(row.title, width - 2 * MARGIN, letters)
        pen.text((MARGIN, height - line - gap), title, 0, letters)
    return torch.from_numpy(np.array(strip))
