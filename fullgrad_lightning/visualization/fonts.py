"""Text in pictures: the font, and what is done to labels that are too long."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

ELLIPSIS = "…"
NAMES = {
    "gradcam": "Grad-CAM",
    "smoothgrad": "SmoothGrad",
    "vargrad": "VarGrad",
    "fullgrad": "FullGrad",
    "simple_fullgrad": "Simple FullGrad",
    "smooth_fullgrad": "Smooth FullGrad",
    "input_x_gradient": "Input × gradient",
}


def display_name(method: str) -> str:
    """The registered name of a saliency method as a heading.

    Examples:
        >>> display_name("smoothgrad"), display_name("integrated_gradients")
        ('SmoothGrad', 'Integrated gradients')
    """
    return NAMES.get(method, method.replace("_", " ").capitalize())


@lru_cache
def font(size: int) -> FreeTypeFont:
    """DejaVu Sans at a size in pixels, as matplotlib brings it: Pillow's own font lacks é and ×."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def shortened(
    text: str, width: float, letters: FreeTypeFont, *, keep: Literal["start", "end"] = "start"
) -> str:
    """As much of a text as fits, with an ellipsis for what does not.

    Args:
        text: Line breaks become spaces.
        width: In pixels.
        letters: The font.
        keep: Which end of the text is kept; the names of layers differ in their last parts.
    """
    text = " ".join(text.split())
    if letters.getlength(text) <= width:
        return text
    fits, exceeds = 0, len(text)  # numbers of characters
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if letters.getlength(_cut(text, middle, keep)) <= width:
            fits = middle
        else:
            exceeds = middle
    return _cut(text, fits, keep)


def wrapped(
    text: str, width: float, letters: FreeTypeFont, *, keep: Literal["start", "end"] = "start"
) -> list[str]:
    """A text on at most two lines, broken between words, each shortened to a width in pixels."""
    words = text.split()
    for count in range(len(words), 0, -1):
        first = " ".join(words[:count])
        if letters.getlength(first) <= width or count == 1:
            lines = [first, " ".join(words[count:])]
            return [shortened(line, width, letters, keep=keep) for line in lines if line]
    return []


def _cut(text: str, count: int, keep: Literal["start", "end"]) -> str:
    if keep == "start":
        return text[:count].rstrip() + ELLIPSIS
    return ELLIPSIS + text[len(text) - count :].lstrip()
