"""Figures of the randomisation test: similarity by stage, and the maps themselves."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from fullgrad_lightning.evaluation.reports.figures import (
    LIGHT,
    Curve,
    draw_labels,
    make_styles,
    report_settings,
    save_figure,
    style_axes,
)
from fullgrad_lightning.evaluation.reports.tables import shorten
from fullgrad_lightning.evaluation.sanity.results import SanityCurves
from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.visualization.canvas import Canvas, Row, draw_rows, panel_size
from fullgrad_lightning.visualization.display_names import display_name
from fullgrad_lightning.visualization.heatmaps import heatmap
from fullgrad_lightning.visualization.unnormalize import resized, to_pixels

SIZE = (8.0, 4.8)  # inches
PANEL = 140  # width of a map and its gutter, in pixels
MAX_LENGTH = 24  # of the name of a layer, in characters
MAX_STAGES = 10  # that are named, or whose maps are drawn; of more, evenly spread ones are


def write_curves(curves: SanityCurves, folder: Path) -> None:
    """Writes ``sanity.png`` and ``sanity.svg``: rank correlation with the original by stage.

    Bands are 95 % intervals over samples, where there are several.
    """
    with report_settings():
        figure = Figure(SIZE, layout="constrained")
        axes = figure.add_subplot()
        _set_frame(axes, curves)
        stages = range(len(curves.depths))
        drawn = [
            Curve.of(display_name(method), style, stages, curves.estimates("spearman", method))
            for method, style in make_styles(curves.methods).items()
        ]
        for curve in drawn:
            curve.plot(axes, clip_on=False)
        draw_labels(axes, drawn)
        save_figure(figure, folder / "sanity.png")


def draw_maps(curves: SanityCurves, images: Tensor) -> Canvas:
    """Draws the maps that were kept: for each sample a row for each method, a column per stage.

    Of many stages ten are shown, the first and the last among them. Maps are shown alone, not over
    the image, whose edges would look alike at all stages.

    Raises:
        ValueError: Images of another shape, or fewer than P.
    """
    kept = next(iter(curves.maps.values())).shape[1]
    if images.ndim != 4 or images.shape[1] != 3 or len(images) < kept:
        raise ValueError(
            f"images must be ({kept}, 3, H, W), one for each sample whose maps were kept, got "
            f"shape {tuple(images.shape)}."
        )
    stages = evenly_spaced_indices(len(curves.depths), MAX_STAGES)
    headings = ["Input", *(_layer_heading(curves, stage) for stage in stages)]
    width = PANEL * len(headings)
    size = panel_size((images.shape[2], images.shape[3]), len(headings), width)
    inputs = to_pixels(resized(images[:kept], size))
    rows = [
        Row(
            panels=[inputs[sample], *to_pixels(heatmap(maps[stages, sample], size=size))],
            title=display_name(method),
            headings=() if i else headings,
            keep="end",
        )
        for sample in range(kept)
        for i, (method, maps) in enumerate(curves.maps.items())
    ]
    return draw_rows(rows, len(headings), width)


def _set_frame(axes: Axes, curves: SanityCurves) -> None:
    """Sets the limits, ticks and texts of the axes."""
    estimates = [each for method in curves.methods for each in curves.estimates("spearman", method)]
    lowest = min(each.mean - (each.half_width or 0) for each in estimates)
    # The wide intervals of few samples must not press the curves together.
    lowest = max(lowest, min(each.mean for each in estimates) - 0.3)
    axes.set_ylim(min(-0.05, lowest - 0.05), 1.05)
    axes.set_xlim(-0.1, len(curves.depths) - 0.9)
    named = evenly_spaced_indices(len(curves.depths), MAX_STAGES)
    names = [
        _layer_heading(curves, stage) + (f" ({curves.depths[stage]})" if stage else "")
        for stage in named
    ]
    axes.set_xticks(named, names, rotation=30, ha="right", rotation_mode="anchor")
    axes.axhline(0, color=LIGHT, linewidth=1, linestyle=":", zorder=1)
    layers, samples = len(curves.layers), curves.num_samples
    style_axes(
        axes,
        xlabel=f"Re-initialised from the output down to … (how many of {layers} layers)",
        ylabel="Rank correlation with the original map",
        title=f"Means over {samples} samples, bands: 95 % intervals" if samples > 1 else "",
    )


def _layer_heading(curves: SanityCurves, stage: int) -> str:
    return shorten(curves.headings[stage], MAX_LENGTH, keep="end")  # layers differ at their ends
