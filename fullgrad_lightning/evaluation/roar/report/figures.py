"""Test accuracy by fraction of pixels replaced: Figure 2b of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fullgrad_lightning.evaluation.reports.curve_labels import Label, draw_labels
from fullgrad_lightning.evaluation.reports.curve_style import (
    DARK,
    DOTS,
    LIGHT,
    SETTINGS,
    Style,
    plain,
    styles,
)
from fullgrad_lightning.evaluation.reports.statistics import Estimate, estimate
from fullgrad_lightning.evaluation.roar.report.results import Results
from fullgrad_lightning.evaluation.roar.report.seed_statistics import accuracy
from fullgrad_lightning.utilities.files import atomic_path

SIZE = (8.0, 4.6)  # inches
SMALL_SIZE = (5.4, 3.9)  # inches, for TensorBoard


@dataclass(frozen=True)
class Curve:
    """What is drawn of a method, in %; not-a-number where no cell is done.

    Attributes:
        title: The method's name.
        style: Its colour, marker and line.
        levels: Ascending.
        means: One for each level.
        halves: Half-widths of the intervals, likewise.
        is_reference: Which level is the reference.
    """

    title: str
    style: Style
    levels: NDArray[np.float64]
    means: NDArray[np.float64]
    halves: NDArray[np.float64]
    is_reference: NDArray[np.bool_]


def write_curves(results: Results, folder: Path) -> None:
    """Writes ``accuracy.png`` and ``accuracy.svg``: a curve for each method.

    Bands are 95 % intervals, where there are several seeds. Cells that are not done leave gaps.
    Curves of ``mask_only`` controls are dashed. Where pixels are kept, the axis runs from all of
    them to few, so that the reference is on the left too.
    """
    with rc_context(SETTINGS):
        figure = draw(results)
        with atomic_path(folder / "accuracy.png") as unfinished:
            figure.savefig(unfinished, dpi=DOTS)
        with atomic_path(folder / "accuracy.svg") as unfinished:
            figure.savefig(unfinished, metadata={"Date": None})


def small_png(results: Results) -> bytes:
    """The same as a PNG file whose text is still legible at half its width, 700 pixels."""
    content = BytesIO()
    with rc_context(SETTINGS):
        draw(results, SMALL_SIZE).savefig(content, format="png", dpi=700 / SMALL_SIZE[0])
    return content.getvalue()


def draw(results: Results, size: tuple[float, float] = SIZE) -> Figure:
    """The figure, of a size in inches. matplotlib's global state knows nothing of it."""
    figure = Figure(size, layout="constrained")
    axes = figure.add_subplot()
    controls = [method for method in results.methods if results.is_mask_only(method)]
    found = styles(results.methods, dashed=controls)
    drawn = [_curve(results, method, style) for method, style in found.items()]
    reference = estimate(list(results.reference().values()))
    _frame(axes, results, drawn, reference)
    for curve in drawn:
        _draw_curve(axes, curve)
    _draw_reference(axes, results, reference)
    draw_labels(axes, [label for curve in drawn for label in _labels(curve, results)])
    return figure


def _curve(results: Results, method: str, style: Style) -> Curve:
    levels = results.levels(method)
    found = [accuracy(results, method, level) for level in levels]
    return Curve(
        title=results.title(method),
        style=style,
        levels=100 * np.array(levels),
        means=np.array([100 * one.mean if one else math.nan for one in found]),
        halves=np.array([100 * _half_width(one) for one in found]),
        is_reference=np.array([level == results.reference_level for level in levels]),
    )


def _half_width(of: Estimate | None) -> float:
    return math.nan if of is None or of.half_width is None else of.half_width


def _frame(
    axes: Axes, results: Results, drawn: Sequence[Curve], reference: Estimate | None
) -> None:
    """Limits, grid and texts of the axes."""
    means = [100 * reference.mean] if reference else []
    means += [float(mean) for curve in drawn for mean in curve.means if mean == mean]
    low, high = (min(means), max(means)) if means else (0.0, 100.0)
    room = max(high - low, 1.0)
    bounds = [(c.means + sign * c.halves) for c in drawn for sign in (-1, 1)]
    reach = [float(bound) for curve in bounds for bound in curve if bound == bound]
    # The wide intervals of two seeds must not press the curves together.
    low = max(min([low, *reach]), low - 0.3 * room)
    high = min(max([high, *reach]), high + 0.3 * room)
    axes.set_ylim(max(0, low - 0.05 * room), min(100.5, high + 0.08 * room))
    farthest = max([100 * f for f in results.fractions(*results.methods)], default=100)
    nearest = min([100 * f for f in results.fractions(*results.methods)], default=0)
    start, end = (0, farthest) if results.remove else (100, nearest)
    axes.set_xlim(start - 0.015 * (end - start), end + 0.015 * (end - start))
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    plain(axes)
    axes.set_xlabel(
        f"{results.order.capitalize()} pixels {'replaced' if results.remove else 'kept'} (%)",
        color=DARK,
    )
    axes.set_ylabel("Test accuracy after retraining (%)", color=DARK)
    axes.set_title(_caption(results), loc="left", color=DARK, fontsize=9)


def _caption(results: Results) -> str:
    """What points and bands are, and whether all cells are done."""
    seeds = {cell.seed for cell in results.cells}
    parts = [f"Means over {len(seeds)} seeds, bands: 95 % intervals"] if len(seeds) > 1 else []
    done = sum(cell.result is not None for cell in results.cells)
    if done < len(results.cells):
        parts.append(f"{done} of {len(results.cells)} cells done")
    return " · ".join(parts)


def _draw_curve(axes: Axes, curve: Curve) -> None:
    style, own = curve.style, np.flatnonzero(~curve.is_reference)
    low, high = curve.means - curve.halves, curve.means + curve.halves
    axes.fill_between(curve.levels, low, high, color=style.colour, alpha=0.12, linewidth=0)
    for edge in (low, high):
        axes.plot(curve.levels, edge, color=style.colour, alpha=0.35, linewidth=0.6)
    axes.plot(curve.levels, curve.means, markevery=list(own), **style.line)


def _draw_reference(axes: Axes, results: Results, reference: Estimate | None) -> None:
    if reference is None:
        return
    height = 100 * reference.mean
    axes.axhline(height, color=LIGHT, linewidth=1, linestyle=":", zorder=1)
    axes.plot(100 * results.reference_level, height, "o", color=DARK, markersize=6, zorder=5)
    axes.annotate(
        f"nothing replaced: {height:.1f} %",
        (1, height), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
        ha="right", va="bottom", color=DARK, fontsize=9,
    )  # fmt: skip


def _labels(curve: Curve, results: Results) -> list[Label]:
    """The name of a curve at its point farthest from the reference, if there is such a point."""
    known = np.flatnonzero(np.isfinite(curve.means) & ~curve.is_reference)
    if not len(known):
        return []
    last = known[-1 if results.remove else 0]
    end = float(curve.levels[last]), float(curve.means[last])
    return [Label(curve.title, curve.style, end)]
