"""Names of curves beside their ends: a legend would be farther to look for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from fullgrad_lightning.evaluation.reports.curve_style import DARK, Style
from fullgrad_lightning.evaluation.reports.tables import shortened

GAP = 0.062  # between labels, as a share of the height of the axes
PLACE = 1.07  # right of the axes, whose width is 1
LONGEST = 34  # of a name, in characters


@dataclass(frozen=True)
class Label:
    """A name, and where its curve ends.

    Attributes:
        name: Of the method.
        style: Of its curve.
        end: In the units of the axes' data.
    """

    name: str
    style: Style
    end: tuple[float, float]


def draw_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes names right of the axes, each with its marker and a line to the end of its curve.

    Args:
        axes: With their final limits.
        labels: In any order.
    """
    if not labels:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [tuple(map(float, to_axes.transform(label.end))) for label in labels]
    upwards = sorted(range(len(labels)), key=lambda i: ends[i][1])
    places = spread([ends[i][1] for i in upwards], GAP)
    for i, place in zip(upwards, places, strict=True):
        (x, y), style = ends[i], labels[i].style
        for xs, ys, line in (
            ([x, PLACE], [y, place], {"color": style.colour, "linewidth": 0.8, "alpha": 0.5}),
            ([PLACE], [place], style.line),
        ):
            axes.plot(xs, ys, transform=axes.transAxes, clip_on=False, **line)
        axes.text(
            PLACE + 0.022, place, shortened(labels[i].name, LONGEST), color=DARK,
            transform=axes.transAxes, va="center_baseline", parse_math=False,
        )  # fmt: skip


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places between 0 and 1 as near as can be to those wanted, and ``gap`` apart from each other.

    Args:
        wanted: Ascending. Their order is kept.
        gap: Made smaller if there is no room for it.

    Examples:
        >>> [round(place, 2) for place in spread([0.1, 0.5, 0.5], 0.1)]
        [0.1, 0.45, 0.55]
    """
    gap = min(gap, 1 / max(1, len(wanted) - 1))
    steps = gap * np.arange(len(wanted))
    # Without the steps, "at least a gap apart" is "not descending": least squares under order.
    places = isotonic_regression(np.array(wanted) - steps).x
    return [float(place) for place in places.clip(0, 1 - steps[-1]) + steps]
