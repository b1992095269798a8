"""Test accuracy by fraction of pixels replaced: Figure 2b of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fullgrad_lightning.evaluation.reports.figures import (
    DARK,
    LIGHT,
    Curve,
    Style,
    draw_labels,
    make_styles,
    report_settings,
    save_figure,
    style_axes,
)
from fullgrad_lightning.evaluation.reports.statistics import Estimate
from fullgrad_lightning.evaluation.roar.report.results import GridResults

SIZE = (8.0, 4.6)  # inches
SMALL_SIZE = (5.4, 3.9)  # inches, for TensorBoard


def write_curves(results: GridResults, folder: Path) -> None:
    """Writes ``accuracy.png`` and ``accuracy.svg``: a curve for each method.

    Bands are 95 % intervals, where there are several seeds. Cells that are not done leave gaps.
    Curves of ``mask_only`` controls are dashed. Where pixels are kept, the axis runs from all of
    them to few, so that the reference is on the left too.
    """
    with report_settings():
        save_figure(draw(results), folder / "accuracy.png")


def small_png(results: GridResults) -> bytes:
    """Returns the same as a PNG file whose text is still legible at half its width, 700 pixels."""
    content = BytesIO()
    with report_settings():
        draw(results, SMALL_SIZE).savefig(content, format="png", dpi=700 / SMALL_SIZE[0])
    return content.getvalue()


def draw(results: GridResults, size: tuple[float, float] = SIZE) -> Figure:
    """Draws the figure in a size in inches, apart from matplotlib's global state."""
    figure = Figure(size, layout="constrained")
    axes = figure.add_subplot()
    controls = [method for method in results.methods if results.is_mask_only(method)]
    styles = make_styles(results.methods, dashed=controls)
    curves = [_make_curve(results, method, style) for method, style in styles.items()]
    reference = results.mean_reference()
    _set_frame(axes, results, curves, reference)
    for curve in curves:
        curve.plot(axes, markevery=slice(1, None))  # the reference has a marker of its own
    _draw_reference(axes, results, reference)
    draw_labels(axes, [curve for curve in curves if np.isfinite(curve.means[1:]).any()])
    return figure


def _make_curve(results: GridResults, method: str, style: Style) -> Curve:
    """The curve in %, from the reference, its first point, to the fraction farthest from it."""
    levels = results.levels(method)[:: 1 if results.remove else -1]
    estimates = [results.mean_accuracy(method, level) for level in levels]
    positions = [100 * level for level in levels]
    return Curve.of(results.heading(method), style, positions, estimates, percent=True)


def _set_frame(
    axes: Axes, results: GridResults, curves: Sequence[Curve], reference: Estimate | None
) -> None:
    """Sets the limits, ticks and texts of the axes."""
    means = [100 * reference.mean] if reference else []
    means += [float(mean) for curve in curves for mean in curve.means if mean == mean]
    low, high = (min(means), max(means)) if means else (0.0, 100.0)
    room = max(high - low, 1.0)
    bounds = [c.means + sign * c.half_widths for c in curves for sign in (-1, 1)]
    reach = [float(bound) for curve in bounds for bound in curve if bound == bound]
    # The wide intervals of two seeds must not press the curves together.
    low = max(min([low, *reach]), low - 0.3 * room)
    high = min(max([high, *reach]), high + 0.3 * room)
    axes.set_ylim(max(0, low - 0.05 * room), min(100.5, high + 0.08 * room))
    fractions = [100 * fraction for fraction in results.fractions(*results.methods)]
    start = 100 * results.reference_level
    end = max(fractions, default=100) if results.remove else min(fractions, default=0)
    axes.set_xlim(start - 0.015 * (end - start), end + 0.015 * (end - start))
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    change = "replaced" if results.remove else "kept"
    style_axes(
        axes,
        xlabel=f"{results.order.capitalize()} pixels {change} (%)",
        ylabel="Test accuracy after retraining (%)",
        title=_caption(results),
    )


def _caption(results: GridResults) -> str:
    """The meaning of points and bands, and the number of cells if not all are done."""
    seeds = {cell.seed for cell in results.cells}
    parts = [f"Means over {len(seeds)} seeds, bands: 95 % intervals"] if len(seeds) > 1 else []
    if results.num_done < len(results.cells):
        parts.append(f"{results.num_done} of {len(results.cells)} cells done")
    return " · ".join(parts)


def _draw_reference(axes: Axes, results: GridResults, reference: Estimate | None) -> None:
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
