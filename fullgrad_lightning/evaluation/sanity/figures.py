"""Curves of similarity by stage, and the maps themselves."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

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
from fullgrad_lightning.evaluation.sanity.results import SanityCurves
from fullgrad_lightning.utilities.files import atomic_path
from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.visualization import display_name, heatmap
from fullgrad_lightning.visualization.canvas import Row, as_bytes, panel_size, sheet
from fullgrad_lightning.visualization.unnormalize import resized

SIZE = (8.0, 4.8)  # inches
PANEL = 140  # width of a map and its gutter, in pixels
LONGEST = 24  # of the name of a layer, in characters
MOST = 10  # stages that are named, or whose maps are drawn: of more, these are spread over them


def write_curves(curves: SanityCurves, folder: Path) -> None:
    """Writes ``sanity.png`` and ``sanity.svg``: rank correlation with the original by stage.

    Bands are 95 % intervals over samples, where there are several.
    """
    with rc_context(SETTINGS):
        figure = Figure(SIZE, layout="constrained")
        axes = figure.add_subplot()
        _frame(axes, curves)
        labels = [
            _draw_curve(axes, curves, method, style)
            for method, style in styles(curves.methods).items()
        ]
        draw_labels(axes, labels)
        with atomic_path(folder / "sanity.png") as unfinished:
            figure.savefig(unfinished, dpi=DOTS)
        with atomic_path(folder / "sanity.svg") as unfinished:
            figure.savefig(unfinished, metadata={"Date": None})


def draw_maps(curves: SanityCurves, images: Tensor) -> Tensor:
    """The maps that were kept: for each sample a row for each method, a column for each stage.

    Of many stages ten are shown, the first and the last among them. Maps are shown alone, not over
    the image, whose edges would look alike at all stages.

    Args:
        curves: S stages, M methods, P samples whose maps were kept.
        images: (P, 3, H, W) or more, float32 in [0, 1].

    Returns:
        (3, height, width), uint8.

    Raises:
        ValueError: Images of another shape, or fewer than P.
    """
    kept = next(iter(curves.maps.values())).shape[1]
    if images.ndim != 4 or images.shape[1] != 3 or len(images) < kept:
        raise ValueError(
            f"images must be ({kept}, 3, H, W), one for each sample whose maps were kept, got "
            f"shape {tuple(images.shape)}."
        )
    stages = evenly_spaced_indices(len(curves.depths), MOST)
    headings = ["Input", *(_ending(curves.headings[stage]) for stage in stages)]
    width = PANEL * len(headings)
    size = panel_size((images.shape[2], images.shape[3]), len(headings), width)
    inputs = as_bytes(resized(images[:kept], size))
    rows = []
    for sample in range(kept):
        for number, (method, maps) in enumerate(curves.maps.items()):
            heat = as_bytes(heatmap(maps[stages, sample], size=size))
            rows.append(
                Row(
                    panels=[inputs[sample], *heat],
                    title=display_name(method),
                    headings=() if number else headings,
                    keep="end",
                )
            )
    return sheet(rows, len(headings), width)


def _frame(axes: Axes, curves: SanityCurves) -> None:
    """Limits, grid and texts of the axes."""
    found = [one for method in curves.methods for one in curves.estimates("spearman", method)]
    lowest = min(one.mean - (one.half_width or 0) for one in found)
    # The wide intervals of few samples must not press the curves together.
    lowest = max(lowest, min(one.mean for one in found) - 0.3)
    axes.set_ylim(min(-0.05, lowest - 0.05), 1.05)
    axes.set_xlim(-0.1, len(curves.depths) - 0.9)
    named = evenly_spaced_indices(len(curves.depths), MOST)
    axes.set_xticks(
        named, [_stage_name(curves, stage) for stage in named],
        rotation=30, ha="right", rotation_mode="anchor",
    )  # fmt: skip
    axes.axhline(0, color=LIGHT, linewidth=1, linestyle=":", zorder=1)
    plain(axes)
    axes.set_xlabel(
        f"Re-initialised from the output down to … (how many of {len(curves.layers)} layers)",
        color=DARK,
    )
    axes.set_ylabel("Rank correlation with the original map", color=DARK)
    count = len(next(iter(curves.similarity["spearman"].values()))[0])
    if count > 1:
        axes.set_title(
            f"Means over {count} samples, bands: 95 % intervals", loc="left", color=DARK, fontsize=9
        )


def _stage_name(curves: SanityCurves, stage: int) -> str:
    name = _ending(curves.headings[stage])
    return f"{name} ({curves.depths[stage]})" if stage else name


def _draw_curve(axes: Axes, curves: SanityCurves, method: str, style: Style) -> Label:
    found = curves.estimates("spearman", method)
    places, means = np.arange(len(found)), np.array([one.mean for one in found])
    halves = np.array([math.nan if one.half_width is None else one.half_width for one in found])
    axes.fill_between(
        places, means - halves, means + halves, color=style.colour, alpha=0.12, linewidth=0
    )
    axes.plot(places, means, **style.line, clip_on=False)
    return Label(display_name(method), style, (float(places[-1]), float(means[-1])))


def _ending(name: str) -> str:
    """The end of a name that is too long: layers differ there."""
    return name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]
