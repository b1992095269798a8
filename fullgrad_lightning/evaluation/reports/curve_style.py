"""How curves are drawn: methods are told apart without seeing colours too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from fullgrad_lightning.evaluation.reports.statistics import BASELINE

# Okabe & Ito's colours (Wong, Nature Methods 2011), without yellow, which white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "p")
BASELINE_COLOUR, BASELINE_MARKER = "#000000", "X"
DARK, LIGHT = "0.25", "0.6"  # of text and of axes, in matplotlib's greys
DOTS = 200  # an inch, of a PNG
# Identical files for identical results: no random identifiers, no date.
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "fullgrad", "font.family": "DejaVu Sans", "font.size": 10
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How a method is drawn.

    Attributes:
        colour: Of line, marker and band.
        marker: In matplotlib's names.
        dashed: Controls: with hollow markers.
    """

    colour: str
    marker: str
    dashed: bool

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


def styles(methods: Sequence[str], dashed: Collection[str] = ()) -> dict[str, Style]:
    """A style for each method; ``random`` is black always.

    The numbers of colours and of markers have no common divisor, so that 42 methods differ.

    Args:
        methods: Their names.
        dashed: Those that are controls.
    """
    drawn: dict[str, Style] = {}
    for place, method in enumerate(m for m in methods if m != BASELINE):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        drawn[method] = Style(colour, marker, method in dashed)
    if BASELINE in methods:
        drawn[BASELINE] = Style(BASELINE_COLOUR, BASELINE_MARKER, BASELINE in dashed)
    return drawn


def plain(axes: Axes) -> None:
    """Leaves what helps to read a curve: horizontal lines, and two thin axes."""
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LIGHT)
    axes.tick_params(color=LIGHT, labelcolor=DARK)
