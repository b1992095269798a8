"""accuracy.png and accuracy.svg."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_rgb
from matplotlib.lines import Line2D
from PIL import Image

from fullgrad_lightning.evaluation.reports.figures import COLOURS, make_styles
from fullgrad_lightning.evaluation.roar.report.figures import draw, write_curves
from fullgrad_lightning.evaluation.roar.report.results import GridResults
from tests.evaluation.roar.report.grids import cells


def axes_of(results: GridResults) -> Axes:
    (axes,) = draw(results).axes
    return axes


def curve_of(axes: Axes, colour: str) -> Line2D:
    """The line in data coordinates; labels are in others, edges of bands without markers."""
    (line,) = (
        line
        for line in axes.lines
        if line.get_transform() == axes.transData
        and same_color(line.get_color(), colour)
        and line.get_marker() != "None"
    )
    return line


def test_a_curve_starts_at_the_reference_and_has_a_band(tmp_path: Path) -> None:
    heights = {0.0: 0.9, 0.1: 0.8, 0.5: 0.6}
    results = GridResults(
        cells(tmp_path, ["fullgrad"], accuracy=lambda m, f, s: heights[f] + 0.01 * s)
    )
    axes = axes_of(results)
    curve = curve_of(axes, COLOURS[0])
    assert curve.get_xdata() == pytest.approx([0, 10, 50])
    assert curve.get_ydata() == pytest.approx([91, 81, 61])
    (band,) = axes.collections
    edges = band.get_paths()[0].vertices
    half = 4.302653 / 3**0.5
    assert edges[:, 1].min() == pytest.approx(61 - half, rel=1e-5)
    assert edges[:, 1].max() == pytest.approx(91 + half, rel=1e-5)


def test_missing_cells_leave_gaps(tmp_path: Path) -> None:
    results = GridResults(
        cells(tmp_path, ["fullgrad"], [0.1, 0.3, 0.5], accuracy=lambda m, f, s: f != 0.3 or None)
    )
    heights = curve_of(axes_of(results), COLOURS[0]).get_ydata()
    assert np.isnan(heights).tolist() == [False, False, True, False]


def test_controls_are_dashed_and_told(tmp_path: Path) -> None:
    shown = axes_of(GridResults(cells(tmp_path / "a", ["fullgrad"], mask_only=["fullgrad"])))
    plain = axes_of(GridResults(cells(tmp_path / "b", ["fullgrad"])))
    dashed, solid = (curve_of(axes, COLOURS[0]) for axes in (shown, plain))
    assert dashed.is_dashed() and not solid.is_dashed()
    assert "FullGrad (mask only)" in [text.get_text() for text in shown.texts]


def test_kept_pixels_run_from_all_to_few(tmp_path: Path) -> None:
    axes = axes_of(GridResults(cells(tmp_path, remove=False)))
    left, right = axes.get_xlim()
    assert left > 100 > 10 > right
    assert axes.get_xlabel() == "Most salient pixels kept (%)"


def test_methods_are_told_apart_by_colour_and_marker(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(20)]
    results = GridResults(cells(tmp_path, [*names, "random"], seeds=[0]))
    drawn = make_styles(results.methods)
    assert len({(style.colour, style.marker) for style in drawn.values()}) == 21
    assert len({style.marker for style in list(drawn.values())[:7]}) == 7
    assert to_rgb(drawn["random"].colour) == (0, 0, 0)
    for first, second in pairwise(names):
        assert drawn[first].colour != drawn[second].colour
        assert drawn[first].marker != drawn[second].marker


def test_labels_of_close_curves_do_not_overlap(tmp_path: Path) -> None:
    names = [f"method_{i}" for i in range(9)]
    results = GridResults(cells(tmp_path, names, accuracy=lambda *_: 0.8))
    figure = draw(results)
    figure.draw_without_rendering()
    boxes = [
        text.get_window_extent() for text in figure.axes[0].texts if "Method" in text.get_text()
    ]
    assert len(boxes) == 9
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert all(low[1] <= high[0] for low, high in pairwise(heights))
    assert all(box.x1 <= figure.bbox.x1 for box in boxes), "names are inside the picture"


@pytest.mark.parametrize("methods", [["fullgrad"], ["Σ$x_2$", "$", "a\nb", "x" * 99]])
@pytest.mark.parametrize("done", [True, False])
def test_files(tmp_path: Path, methods: list[str], done: bool) -> None:
    results = GridResults(
        cells(tmp_path, methods, seeds=[0], accuracy=lambda *_: 0.8 if done else None)
    )
    write_curves(results, tmp_path)
    picture = Image.open(tmp_path / "accuracy.png").convert("L")
    assert picture.size == (1600, 920)
    assert (np.asarray(picture) < 128).mean() > 0.002
    svg = (tmp_path / "accuracy.svg").read_text(encoding="utf-8")
    assert svg.rstrip().endswith("</svg>")


def test_the_same_results_are_the_same_files(tmp_path: Path) -> None:
    for name in "ab":
        write_curves(GridResults(cells(tmp_path / name)), tmp_path / name)
    for file in ("accuracy.png", "accuracy.svg"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
