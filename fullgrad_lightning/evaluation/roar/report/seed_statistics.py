"""What is told of a method: accuracies over seeds, areas under them, differences to random."""

from __future__ import annotations

from fullgrad_lightning.evaluation.reports.statistics import (
    BASELINE,
    Estimate,
    area,
    difference,
    estimate,
)
from fullgrad_lightning.evaluation.roar.report.results import Results


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


def accuracy_difference(results: Results, method: str, level: float) -> Estimate | None:
    """A method's accuracy minus that of ``random``, at a level and paired by seed."""
    others = results.accuracies(BASELINE, level) if BASELINE in results.methods else {}
    return difference(results.accuracies(method, level), others)


def area_difference(results: Results, method: str) -> Estimate | None:
    """A method's area minus that of ``random``, paired by seed; over the same levels only."""
    if BASELINE not in results.methods or results.levels(method) != results.levels(BASELINE):
        return None
    return difference(areas(results, method), areas(results, BASELINE))
