"""Colour, marker and line of each method: told apart without seeing colours too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fullgrad_lightning.roar.report.results import Results
from fullgrad_lightning.roar.report.statistics import BASELINE

# Okabe & Ito's colours (Wong, Nature Methods 2011), without yellow, which white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "p")
BASELINE_COLOUR, BASELINE_MARKER = "#000000", "X"
DARK = "0.25"  # of text, in matplotlib's greys


@dataclass(frozen=True)
class Style:
    """How a method is drawn.

    Attributes:
        colour: Of line, marker and band.
        marker: In matplotlib's names.
        dashed: Controls that see the mask only: with hollow markers.
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


def styles(results: Results) -> dict[str, Style]:
    """A style for each method; ``random`` is black always.

    The numbers of colours and of markers have no common divisor, so that 42 methods differ.
    """
    drawn: dict[str, Style] = {}
    for place, method in enumerate(m for m in results.methods if m != BASELINE):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        drawn[method] = Style(colour, marker, results.is_mask_only(method))
    if BASELINE in results.methods:
        dashed = results.is_mask_only(BASELINE)
        drawn[BASELINE] = Style(BASELINE_COLOUR, BASELINE_MARKER, dashed)
    return drawn
