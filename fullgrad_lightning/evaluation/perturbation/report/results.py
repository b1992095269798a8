"""The scores of all methods, and their means.

Shapes: n samples, F levels (shares of the pixels).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fullgrad_lightning.evaluation.reports.statistics import Estimate, Values, estimate


@dataclass(frozen=True)
class ScoreCurves:
    """One score of all methods that are done.

    Args:
        levels: F shares of the pixels, ascending.
        by_method: Name of the method -> name of the curve -> (n, F).
    """

    levels: tuple[float, ...]
    by_method: dict[str, dict[str, Values]] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """The names of the methods."""
        return list(self.by_method)

    def values(self, method: str, curve: str) -> Values:
        """Returns (m, F), without samples that have NaN: where f(x) is 0, no relative change is."""
        values = self.by_method[method][curve]
        return values[~np.isnan(values).any(1)]

    def estimates(self, method: str, curve: str) -> list[Estimate | None]:
        """Returns the mean over samples at each level."""
        return [estimate(column.tolist()) for column in self.values(method, curve).T]

    def area(self, method: str, curve: str, *, start: float | None = None) -> Estimate | None:
        """Returns the mean over samples of the area under the curve, divided by its range.

        ``start`` is the curve's value at level 0, if that is not one of its levels.
        """
        levels, values = np.array(self.levels), self.values(method, curve)
        if start is not None:
            levels = np.insert(levels, 0, 0.0)
            values = np.insert(values, 0, start, axis=1)
        areas = np.trapezoid(values, levels, axis=1) / (levels[-1] - levels[0])
        return estimate(areas.tolist())

    def difference(self, method: str, curve: str, other: str) -> Estimate | None:
        """Returns the mean over samples and levels of one curve minus another."""
        difference = self.values(method, curve) - self.values(method, other)
        return estimate(difference.mean(1).tolist())


@dataclass
class PerturbationResults:
    """The results of a benchmark so far: the curves of each score, by its name."""

    samples: int  # n
    methods: int  # the number that is evaluated in the end
    fill: str  # of pixel perturbation
    scores: dict[str, ScoreCurves] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """The number of methods that have all scores."""
        return min((len(curves.by_method) for curves in self.scores.values()), default=0)
