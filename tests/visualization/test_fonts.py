"""Labels that fit, in a font that has their letters."""

from __future__ import annotations

import pytest

from fullgrad_lightning.visualization.fonts import fit_text, load_font, wrap_text

LETTERS = load_font(20)
NAME = "features.denseblock1.denselayer2.norm1"


@pytest.mark.parametrize("letter", "é ü ß ñ × · … ° λ ∇ Ж % → —".split())
def test_the_font_has_the_letters_of_labels(letter: str) -> None:
    missing = LETTERS.getmask("\ue123")
    assert bytes(LETTERS.getmask(letter)) != bytes(missing)


@pytest.mark.parametrize("width", [30, 77, 150, 300])
def test_as_much_as_fits(width: int) -> None:
    start, end = (fit_text(NAME, width, LETTERS, keep=keep) for keep in ("start", "end"))
    assert start.endswith("…") and NAME.startswith(start[:-1])
    assert end.startswith("…") and NAME.endswith(end[1:])
    assert max(LETTERS.getlength(start), LETTERS.getlength(end)) <= width
    longer = NAME[: len(start)] + "…"
    assert LETTERS.getlength(longer) > width


def test_what_fits_is_left_alone() -> None:
    assert fit_text("cat", 300, LETTERS) == "cat"
    assert fit_text("a\nline  break", 300, LETTERS) == "a line break"
    assert fit_text("cat", 0, LETTERS) == "…"
    assert fit_text("", 0, LETTERS) == ""


def test_headings_take_two_lines() -> None:
    assert wrap_text("Integrated gradients", 300, LETTERS) == ["Integrated gradients"]
    assert wrap_text("Integrated gradients", 120, LETTERS) == ["Integrated", "gradients"]
    assert wrap_text("one two three four", 90, LETTERS) == ["one two", "three f…"]
    assert wrap_text("Integrated gradients", 80, LETTERS)[1].startswith("grad")
    assert wrap_text(NAME, 100, LETTERS, keep="end")[0].endswith("norm1")
    assert wrap_text("", 100, LETTERS) == []
