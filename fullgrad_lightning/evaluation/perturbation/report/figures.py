"""Curves of a score, two panels each: Figure 2a of the paper, and the same of other scores."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from fullgrad_lightning.evaluation.perturbation.report.results import (
    PerturbationResults,
    ScoreCurves,
)
from fullgrad_lightning.evaluation.reports.figures import (
    DARK,
    Curve,
    draw_labels,
    make_styles,
    report_settings,
    save_figure,
    style_axes,
)
from fullgrad_lightning.visualization.display_names import display_name

SIZE = (10.6, 4.2)  # inches
MAX_MARKERS = 12  # number of levels up to which each has a marker


class Panel(NamedTuple):
    """One set of axes: the name of its curve, its title, and the name of its horizontal axis."""

    curve: str
    title: str
    xlabel: str


_REPLACED = "pixels replaced (%)"
PANELS = {
    "perturbation": (
        Panel(
            "least_salient", "Least salient first: lower is better", f"Least salient {_REPLACED}"
        ),
        Panel("most_salient", "Most salient first: higher is better", f"Most salient {_REPLACED}"),
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
YLABELS = {
    "perturbation": "|f(x′) − f(x)| / |f(x)|",
    "insertion_deletion": "Probability of the class",
    "road": "Still the top class (share)",
}


def write_figures(results: PerturbationResults, folder: Path) -> list[Path]:
    """Writes ``<score>.png`` and ``.svg`` for each score; returns the PNGs."""
    paths = []
    for score, curves in results.scores.items():
        if curves.by_method:
            paths.append(folder / f"{score}.png")
            with report_settings():
                save_figure(draw(score, curves), paths[-1])
    return paths


def draw(score: str, curves: ScoreCurves) -> Figure:
    """Draws means over images with bands of 95 %, and the names of the curves."""
    figure = Figure(SIZE, layout="constrained")
    styles, levels = make_styles(curves.methods), [100 * level for level in curves.levels]
    every = max(1, len(levels) // MAX_MARKERS)
    panels = PANELS[score]
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
        drawn = [
            Curve.of(display_name(name), style, levels, curves.estimates(name, panel.curve))
            for name, style in styles.items()
        ]
        lines = [curve.plot(axes, markevery=every) for curve in drawn]
        style_axes(axes, xlabel=panel.xlabel, title=panel.title)
        axes.set_xlim(left=0)
    first, last = figure.axes[0], figure.axes[-1]
    first.set_ylabel(YLABELS[score], color=DARK)
    first.set_ylim(bottom=0)  # of both; now that all is drawn
    ends = [curve.means[-1] for curve in drawn]
    if len(ends) > 1 and np.ptp(ends) < 1e-3:  # curves meet where all is shown
        first.legend(lines, [curve.name for curve in drawn], frameon=False, labelcolor=DARK)
    else:
        draw_labels(last, drawn)
    return figure
