"""Direct labels at the ends of curves, in place of a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from fullgrad_lightning.evaluation.reports.figures import DARK, Curve
from fullgrad_lightning.evaluation.reports.tables import one_line, shorten

GAP = 0.062  # between labels, as a share of the height of the axes
LEFT = 1.07  # of labels, right of the axes, whose width is 1
MAX_LENGTH = 34  # of a name, in characters


def draw_labels(axes: Axes, curves: Sequence[Curve]) -> None:
    """Writes names right of the axes, each with its marker and a line to the end of its curve.

    The axes have their final limits. Curves without an end have no label.
    """
    labels = [(curve, end) for curve in curves if (end := curve.end) is not None]
    labels.sort(key=lambda label: label[1][1])
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform(end).tolist() for _, end in labels]
    heights = space_apart([y for _, y in ends], GAP)
    for (curve, _), (x, y), height in zip(labels, ends, heights, strict=True):
        style = curve.style
        for xs, ys, line in (
            ([x, LEFT], [y, height], {"color": style.colour, "linewidth": 0.8, "alpha": 0.5}),
            ([LEFT], [height], style.line),
        ):
            axes.plot(xs, ys, transform=axes.transAxes, clip_on=False, **line)
        axes.text(
            LEFT + 0.022, height, shorten(one_line(curve.name), MAX_LENGTH), color=DARK,
            transform=axes.transAxes, va="center_baseline", parse_math=False,
        )  # fmt: skip


def space_apart(positions: Sequence[float], gap: float) -> list[float]:
    """Moves ascending positions as little as possible, until they are in 0…1 and ``gap`` apart.

    The gap is reduced if there is no room for it.

    Examples:
        >>> [round(position, 2) for position in space_apart([0.1, 0.5, 0.5], 0.1)]
        [0.1, 0.45, 0.55]
    """
    if not positions:
        return []
    gap = min(gap, 1 / max(1, len(positions) - 1))
    steps = gap * np.arange(len(positions))
    # Without the steps, "at least a gap apart" is "not descending": least squares under order.
    moved = isotonic_regression(np.array(positions) - steps).x
    return [float(position) for position in moved.clip(0, 1 - steps[-1]) + steps]
