"""Figures of curves: one style, means with bands, names in place of a legend. Imports no torch.

Methods differ in marker as well as colour, so that figures are readable without colour.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import isotonic_regression

from fullgrad_lightning.evaluation.reports.statistics import BASELINE, Estimate, Values
from fullgrad_lightning.evaluation.reports.tables import one_line, shorten
from fullgrad_lightning.utilities.files import atomic_path

# Okabe & Ito's colours (Wong, Nature Methods 2011), without yellow, which is invisible on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "p")
BASELINE_COLOUR, BASELINE_MARKER = "#000000", "X"
DARK, LIGHT = "0.25", "0.6"  # of text and of axes, in matplotlib's greys
DPI = 200  # of a PNG
LABEL_GAP = 0.062  # between labels, as a share of the height of the axes
LABEL_LEFT = 1.07  # of labels, right of the axes, whose width is 1
MAX_LABEL_LENGTH = 34  # of a name, in characters


@dataclass(frozen=True)
class Style:
    """The appearance of a method's curve, its marker in matplotlib's names."""

    colour: str
    marker: str
    dashed: bool  # a control, whose markers are hollow

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of ``Axes.plot``."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": 6.5,
            "markerfacecolor": "white" if self.dashed else self.colour,
            "markeredgecolor": self.colour if self.dashed else "white",
            "markeredgewidth": 1.2 if self.dashed else 0.6,
            "linewidth": 1.8,
            "linestyle": (0, (4, 2)) if self.dashed else "-",
        }


@dataclass(frozen=True)
class Curve:
    """The means of a method with their 95 % intervals, at F levels: arrays (F,), NaN for none."""

    name: str
    style: Style
    levels: Values
    means: Values
    half_widths: Values

    @classmethod
    def of(
        cls,
        name: str,
        style: Style,
        levels: Sequence[float],
        estimates: Sequence[Estimate | None],
        *,
        percent: bool = False,
    ) -> Curve:
        """Builds a curve from levels and estimates; ``percent``: means are shown in %."""
        scale = 100 if percent else 1
        means = np.array([each.mean if each else np.nan for each in estimates])
        # ``None``, the half-width of a single value, becomes NaN too.
        half_widths = np.array([each.half_width if each else None for each in estimates], float)
        return cls(name, style, np.array(levels), scale * means, scale * half_widths)

    @property
    def end(self) -> tuple[float, float] | None:
        """The last point that is not NaN, if there is one."""
        finite = np.flatnonzero(np.isfinite(self.means))
        if not len(finite):
            return None
        return float(self.levels[finite[-1]]), float(self.means[finite[-1]])

    def plot(self, axes: Axes, **options: Any) -> Line2D:
        """Draws the band and the line; ``options`` are those of ``Axes.plot``."""
        axes.fill_between(
            self.levels, self.means - self.half_widths, self.means + self.half_widths,
            facecolor=to_rgba(self.style.colour, 0.12), edgecolor=to_rgba(self.style.colour, 0.35),
            linewidth=0.6,
        )  # fmt: skip
        (line,) = axes.plot(self.levels, self.means, **self.style.line, **options)
        return line


def make_styles(methods: Sequence[str], dashed: Collection[str] = ()) -> dict[str, Style]:
    """Assigns a style to each method; ``random`` is always black, the lines of controls are dashed.

    The numbers of colours and of markers have no common divisor, so that 42 methods differ.
    """
    styles: dict[str, Style] = {}
    for i, method in enumerate(m for m in methods if m != BASELINE):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        styles[method] = Style(colour, marker, method in dashed)
    if BASELINE in methods:
        styles[BASELINE] = Style(BASELINE_COLOUR, BASELINE_MARKER, BASELINE in dashed)
    return styles


def style_axes(axes: Axes, *, xlabel: str, ylabel: str = "", title: str = "") -> None:
    """Labels axes, and reduces them to horizontal lines and two thin spines."""
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LIGHT)
    axes.tick_params(color=LIGHT, labelcolor=DARK)
    axes.set_xlabel(xlabel, color=DARK)
    axes.set_ylabel(ylabel, color=DARK)
    axes.set_title(title, loc="left", color=DARK, fontsize=9)


def draw_labels(axes: Axes, curves: Sequence[Curve]) -> None:
    """Writes names right of the axes, each with its marker and a line to the end of its curve.

    The axes have their final limits. Curves without an end have no label.
    """
    labels = [(curve, end) for curve in curves if (end := curve.end) is not None]
    labels.sort(key=lambda label: label[1][1])
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform(end).tolist() for _, end in labels]
    heights = space_apart([y for _, y in ends], LABEL_GAP)
    for (curve, _), (x, y), height in zip(labels, ends, heights, strict=True):
        style = curve.style
        for xs, ys, line in (
            ([x, LABEL_LEFT], [y, height], {"color": style.colour, "linewidth": 0.8, "alpha": 0.5}),
            ([LABEL_LEFT], [height], style.line),
        ):
            axes.plot(xs, ys, transform=axes.transAxes, clip_on=False, **line)
        axes.text(
            LABEL_LEFT + 0.022, height, shorten(one_line(curve.name), MAX_LABEL_LENGTH), color=DARK,
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


def report_settings() -> AbstractContextManager[None]:
    """Returns the context in which figures are drawn and saved, whatever the user's settings."""
    # Identical files for identical results: no random identifiers.
    return rc_context({"svg.hashsalt": "fullgrad", "font.family": "DejaVu Sans", "font.size": 10})


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure, drawn within ``report_settings``, as a PNG, and as an SVG beside it."""
    with atomic_path(path) as unfinished:
        figure.savefig(unfinished, dpi=DPI)
    with atomic_path(path.with_suffix(".svg")) as unfinished:
        figure.savefig(unfinished, metadata={"Date": None})  # identical files, as above
