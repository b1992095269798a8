"""Curves of a score, two panels each: Figure 2a of the paper, and its like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullgrad_lightning.evaluation.perturbation.report.results import (
    Curves,
    Results,
    half_widths,
    means,
)
from fullgrad_lightning.evaluation.reports.curve_labels import Label, draw_labels
from fullgrad_lightning.evaluation.reports.curve_style import (
    DARK,
    DOTS,
    SETTINGS,
    Style,
    plain,
    styles,
)
from fullgrad_lightning.utilities.files import atomic_path

SIZE = (10.6, 4.2)  # inches
_FEW = 12  # levels up to which each has a marker


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Args:
        curve: Whose mean is drawn.
        title: What happens to the image, and which end is good.
        across: Name of the horizontal axis.
    """

    curve: str
    title: str
    across: str


_BLACK = "pixels replaced (%)"
PANELS = {
    "perturbation": (
        Panel("least_salient", "Least salient first: lower is better", f"Least salient {_BLACK}"),
        Panel("most_salient", "Most salient first: higher is better", f"Most salient {_BLACK}"),
    ),
    "insertion_deletion": (
        Panel("deletion", "Deletion: lower is better", "Most salient pixels removed (%)"),
        Panel("insertion", "Insertion: higher is better", "Most salient pixels added (%)"),
    ),
    "road": (
        Panel("least_correct", "Least salient first: higher is better", "Pixels imputed (%)"),
        Panel("most_correct", "Most salient first: lower is better", "Pixels imputed (%)"),
    ),
}
HEIGHTS = {
    "perturbation": "|f(x′) − f(x)| / |f(x)|",
    "insertion_deletion": "Probability of the class",
    "road": "Still the top class (share)",
}


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Writes ``<score>.png`` and ``.svg`` for each score; returns the PNGs."""
    paths = []
    for score, curves in results.scores.items():
        if not curves.by_method:
            continue
        with rc_context(SETTINGS):
            figure = draw(score, curves)
            paths.append(folder / f"{score}.png")
            with atomic_path(paths[-1]) as unfinished:
                figure.savefig(unfinished, dpi=DOTS)
            with atomic_path(folder / f"{score}.svg") as unfinished:
                figure.savefig(unfinished, metadata={"Date": None})
    return paths


def draw(score: str, curves: Curves) -> Figure:
    """The figure: means over images with bands of 95 %, and the names of the curves."""
    figure = Figure(SIZE, layout="constrained")
    drawn = styles(curves.methods)
    panels = PANELS[score]
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
        for method, style in drawn.items():
            _draw_curve(axes, curves, method, panel.curve, style)
        plain(axes)
        axes.set_xlim(left=0)
        axes.set_title(panel.title, loc="left", color=DARK, fontsize=10)
        axes.set_xlabel(panel.across, color=DARK)
    figure.axes[0].set_ylabel(HEIGHTS[score], color=DARK)
    figure.axes[0].set_ylim(bottom=0)  # of both; now that all is drawn
    last = panels[-1].curve
    ends = {name: float(means(curves.at(name, last))[-1]) for name in drawn}
    right = 100 * curves.levels[-1]
    if len(ends) > 1 and np.ptp(list(ends.values())) < 1e-3:  # curves meet where all is shown
        figure.axes[0].legend(figure.axes[0].lines, list(drawn), frameon=False, labelcolor=DARK)
        return figure
    draw_labels(
        figure.axes[-1],
        [Label(name, drawn[name], (right, y)) for name, y in ends.items() if np.isfinite(y)],
    )
    return figure


def _draw_curve(axes: Axes, curves: Curves, method: str, curve: str, style: Style) -> None:
    found = curves.at(method, curve)
    levels, heights, halves = 100 * np.array(curves.levels), means(found), half_widths(found)
    axes.fill_between(
        levels, heights - halves, heights + halves, color=style.colour, alpha=0.15, linewidth=0
    )
    every = max(1, len(levels) // _FEW)
    axes.plot(levels, heights, markevery=every, **style.line)
