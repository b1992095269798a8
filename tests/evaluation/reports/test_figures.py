"""Curves with their bands, and files of figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fullgrad_lightning.evaluation.reports.figures import (
    Curve,
    draw_labels,
    make_styles,
    report_settings,
    save_figure,
)
from fullgrad_lightning.evaluation.reports.statistics import Estimate

STYLE = make_styles(["fullgrad"])["fullgrad"]


def make_curve(*values: float | None) -> Curve:
    estimates = [None if value is None else Estimate(value, 0.1, 0.05, 3) for value in values]
    return Curve.of("FullGrad", STYLE, range(len(values)), estimates, percent=True)


def test_means_and_half_widths_in_percent() -> None:
    curve = make_curve(0.5, None)
    np.testing.assert_allclose(curve.means, [50, np.nan])
    np.testing.assert_allclose(curve.half_widths, [5, np.nan])


@pytest.mark.parametrize(
    ("values", "end"), [((0.5, 0.25), (1, 25)), ((0.5, None), (0, 50)), ((None, None), None)]
)
def test_the_end_is_the_last_mean(
    values: tuple[float | None, ...], end: tuple[float, float] | None
) -> None:
    assert make_curve(*values).end == end


def test_the_band_is_the_interval() -> None:
    axes = Figure().add_subplot()
    line = make_curve(0.5, 0.25).plot(axes)
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((20, 55))
    assert line.get_ydata() == pytest.approx([50, 25])


def test_only_curves_with_an_end_have_a_label() -> None:
    axes = Figure().add_subplot()
    draw_labels(axes, [make_curve(None), make_curve(0.5), make_curve()])
    assert [text.get_text() for text in axes.texts] == ["FullGrad"]


def test_two_files_of_a_figure(tmp_path: Path) -> None:
    with report_settings():
        save_figure(Figure((2, 1)), tmp_path / "new" / "figure.png")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"figure.png", "figure.svg"}
    assert Image.open(tmp_path / "new" / "figure.png").size == (400, 200)
