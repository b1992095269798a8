"""Means and intervals over seeds, areas under curves, and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit  # quantiles of Student's t; scipy.stats is slow to import

from fullgrad_lightning.roar.report.results import Results

BASELINE = "random"  # what methods are compared with


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, and how sure it is.

    Attributes:
        mean: Of the values.
        deviation: Their standard deviation, with n − 1 in the denominator; ``None`` for one value.
        half_width: Of the 95 % Student-t interval of the mean; ``None`` for one value.
        count: n, the number of values.
    """

    mean: float
    deviation: float | None
    half_width: float | None
    count: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of some values with its 95 % Student-t interval.

    The half-width is t(0.975; n − 1) · s / √n: 12.7 s/√2 for two seeds, 4.3 s/√3 for three.

    Args:
        values: One for each seed.

    Returns:
        ``None`` if there is no value.

    Examples:
        >>> found = estimate([0.80, 0.82])
        >>> round(found.mean, 3), round(found.half_width, 3)
        (0.81, 0.127)
    """
    count = len(values)
    if not count:
        return None
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    quantile = float(stdtrit(count - 1, 0.975))
    return Estimate(mean, deviation, quantile * deviation / math.sqrt(count), count)


def area(levels: Sequence[float], accuracies: Sequence[float]) -> float:
    """The area under a curve by the trapezoidal rule, divided by the range of its levels.

    It is the mean height of the curve: 0…1, like accuracies.

    Args:
        levels: Ascending, at least two.
        accuracies: One for each level.

    Examples:
        >>> area([0.0, 0.5, 1.0], [1.0, 0.5, 0.5])
        0.625
    """
    under = math.fsum(
        (levels[i + 1] - levels[i]) * (accuracies[i] + accuracies[i + 1]) / 2
        for i in range(len(levels) - 1)
    )
    return under / (levels[-1] - levels[0])


def areas(results: Results, method: str) -> dict[int, float]:
    """The area under a method's curve by seed, of the seeds whose cells are all done."""
    levels = results.levels(method)
    curves = [results.accuracies(method, level) for level in levels]
    return {
        seed: area(levels, [curve[seed] for curve in curves])
        for seed in results.seeds(method)
        if all(seed in curve for curve in curves)
    }


def mean_area(results: Results, method: str) -> Estimate | None:
    """The area under a method's curve, averaged over seeds; ``None`` if no curve is whole."""
    return estimate(list(areas(results, method).values()))


def accuracy(results: Results, method: str, level: float) -> Estimate | None:
    """A method's accuracy at a level, averaged over seeds; ``None`` if no cell is done."""
    return estimate(list(results.accuracies(method, level).values()))


def difference(values: Mapping[int, float], others: Mapping[int, float]) -> Estimate | None:
    """The mean of values − others, paired by seed; ``None`` if they have no seed in common.

    Pairing takes out what a seed does to both: its initial weights and its order of samples.
    """
    return estimate([values[seed] - others[seed] for seed in values if seed in others])


def accuracy_difference(results: Results, method: str, level: float) -> Estimate | None:
    """A method's accuracy minus that of ``random``, at a level and paired by seed."""
    others = results.accuracies(BASELINE, level) if BASELINE in results.methods else {}
    return difference(results.accuracies(method, level), others)


def area_difference(results: Results, method: str) -> Estimate | None:
    """A method's area minus that of ``random``, paired by seed; over the same levels only."""
    if BASELINE not in results.methods or results.levels(method) != results.levels(BASELINE):
        return None
    return difference(areas(results, method), areas(results, BASELINE))
