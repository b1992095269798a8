"""Numbers and tables as text."""

from __future__ import annotations

import csv
import io

import pytest

from fullgrad_lightning.evaluation.reports.statistics import Estimate
from fullgrad_lightning.evaluation.reports.tables import as_csv, format_estimate, shorten


@pytest.mark.parametrize(
    ("mean", "half_width", "options", "text"),
    [
        (0.1234, 0.0567, {}, "0.12 ± 0.06"),
        (0.1234, None, {}, "0.12"),
        (-0.1234, 0.0567, {"signed": True}, "-0.12 ± 0.06"),
        (0.1234, 0.0567, {"signed": True, "scale": 100}, "+12.34 ± 5.67"),
        (-0.0049, 0.0, {}, "0.00 ± 0.00"),
        (-0.0049, 0.0, {"signed": True}, "0.00 ± 0.00"),
        (0.0049, 0.0, {"signed": True}, "0.00 ± 0.00"),
    ],
)
def test_estimates(
    mean: float, half_width: float | None, options: dict[str, float], text: str
) -> None:
    assert format_estimate(Estimate(mean, None, half_width, 3), 2, **options) == text


def test_no_estimate_is_blank() -> None:
    assert format_estimate(None, 2) == ""


def test_a_long_text_keeps_one_end() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcdef", 4, keep="end") == "…def"


def test_csv_of_any_texts_and_full_precision() -> None:
    rows = [["a,b", 1 / 3, None], ['"', 0, "two\nlines"]]
    text = as_csv(["name", "value", "more"], rows)
    assert "\r" not in text
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "value", "more"], ["a,b", str(1 / 3), ""], ['"', "0", "two\nlines"],
    ]  # fmt: skip
