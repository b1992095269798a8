"""The scores of all methods, and what they average to.

Shapes: n samples, F levels (shares of the pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.evaluation.reports.statistics import Estimate, estimate

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """One score of all methods that are done.

    Args:
        levels: F shares of the pixels, ascending.
        by_method: Name of the method -> name of the curve -> (n, F).
    """

    levels: tuple[float, ...]
    by_method: dict[str, dict[str, Values]] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """Their names."""
        return list(self.by_method)

    def values(self, method: str, curve: str) -> Values:
        """(m, F): the samples of which it is known; no relative change exists where f(x) is 0."""
        found = self.by_method[method][curve]
        return found[~np.isnan(found).any(1)]

    def at(self, method: str, curve: str) -> list[Estimate | None]:
        """The mean over samples at each level."""
        return [estimate(column.tolist()) for column in self.values(method, curve).T]

    def area(self, method: str, curve: str, *, start: float | None = None) -> Estimate | None:
        """The mean over samples of the area under the curve, divided by the range of its levels.

        Args:
            method: Its name.
            curve: Its name.
            start: The curve's value at level 0, where that is no level of its own.
        """
        levels, values = np.array(self.levels), self.values(method, curve)
        if start is not None:
            levels = np.insert(levels, 0, 0.0)
            values = np.insert(values, 0, start, axis=1)
        areas = np.trapezoid(values, levels, axis=1) / (levels[-1] - levels[0])
        return estimate(areas.tolist())

    def difference(self, method: str, curve: str, other: str) -> Estimate | None:
        """The mean over samples and levels of one curve minus another."""
        difference = self.values(method, curve) - self.values(method, other)
        return estimate(difference.mean(1).tolist())


@dataclass
class Results:
    """What a benchmark knows so far.

    Args:
        samples: n.
        methods: How many there will be.
        fill: What takes a pixel's place in pixel perturbation.
        scores: Name of the score -> its curves.
    """

    samples: int
    methods: int
    fill: str
    scores: dict[str, Curves] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many methods have all scores."""
        return min((len(curves.by_method) for curves in self.scores.values()), default=0)


def means(found: Sequence[Estimate | None]) -> Values:
    """Means, NaN for none."""
    return np.array([np.nan if one is None else one.mean for one in found])


def half_widths(found: Sequence[Estimate | None]) -> Values:
    """Half-widths of intervals, NaN for none."""
    widths = [None if one is None else one.half_width for one in found]
    return np.array([np.nan if width is None else width for width in widths])
