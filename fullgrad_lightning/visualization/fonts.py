"""Text in pictures: the font, and texts cut or wrapped to a width in pixels. Imports no torch."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

End: TypeAlias = Literal["start", "end"]

ELLIPSIS = "…"


@lru_cache
def load_font(size: int) -> FreeTypeFont:
    """Loads DejaVu Sans in a size in pixels, from matplotlib: Pillow's own font lacks é and ×."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def fit_text(text: str, width: float, font: FreeTypeFont, *, keep: End = "start") -> str:
    """Cuts a text to a width in pixels, with an ellipsis in place of the rest.

    Line breaks become spaces. ``keep`` is the end of the text that stays: the names of layers
    differ in their last parts.
    """
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    fits, exceeds = 0, len(text)  # numbers of characters
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if font.getlength(_cut(text, middle, keep)) <= width:
            fits = middle
        else:
            exceeds = middle
    return _cut(text, fits, keep)


def wrap_text(text: str, width: float, font: FreeTypeFont, *, keep: End = "start") -> list[str]:
    """Breaks a text between words into two lines at most, each cut to a width in pixels."""
    words = text.split()
    for count in range(len(words), 0, -1):
        first = " ".join(words[:count])
        if font.getlength(first) <= width or count == 1:
            lines = [first, " ".join(words[count:])]
            return [fit_text(line, width, font, keep=keep) for line in lines if line]
    return []


def _cut(text: str, count: int, keep: End) -> str:
    if keep == "start":
        return text[:count].rstrip() + ELLIPSIS
    return ELLIPSIS + text[len(text) - count :].lstrip()
