"""Means, intervals and areas, against scipy and by hand."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from scipy import stats

from fullgrad_lightning.evaluation.reports.statistics import area, difference, estimate


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_mean_deviation_and_interval(count: int) -> None:
    values = np.random.default_rng(count).uniform(0.5, 0.9, count).tolist()
    result = estimate(values)
    low, high = stats.t.interval(
        0.95, count - 1, loc=np.mean(values), scale=stats.sem(values, ddof=1)
    )
    assert result is not None and result.deviation is not None and result.half_width is not None
    assert result.count == count
    assert result.mean == pytest.approx(statistics.mean(values), rel=1e-12)
    assert result.deviation == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert result.mean - result.half_width == pytest.approx(low, rel=1e-9)
    assert result.mean + result.half_width == pytest.approx(high, rel=1e-9)


def test_interval_of_three_by_hand() -> None:
    result = estimate([0.80, 0.82, 0.84])  # s = 0.02; t(0.975; 2) = 4.302653 in printed tables
    assert result is not None and result.half_width is not None
    assert result.half_width == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    one = estimate([0.7])
    assert one is not None
    assert (one.mean, one.deviation, one.half_width, one.count) == (0.7, None, None, 1)
    assert estimate([]) is None


def test_equal_seeds_have_an_interval_of_width_zero() -> None:
    result = estimate([0.7, 0.7])
    assert result is not None and result.half_width == 0


def test_area_of_uneven_levels() -> None:
    levels, heights = [0.0, 0.1, 0.3, 0.9], [0.9, 0.8, 0.5, 0.1]
    by_hand = (0.1 * 0.85 + 0.2 * 0.65 + 0.6 * 0.3) / 0.9
    assert area(levels, heights) == pytest.approx(by_hand, rel=1e-12)
    assert area(levels, heights) == pytest.approx(np.trapezoid(heights, levels) / 0.9, rel=1e-12)


def test_differences_are_paired_by_seed() -> None:
    result = difference({0: 0.5, 1: 0.7, 2: 0.9}, {1: 0.6, 2: 0.85, 3: 0.1})
    expected = stats.ttest_rel([0.7, 0.9], [0.6, 0.85]).confidence_interval(0.95)
    assert result is not None and result.half_width is not None
    assert result.count == 2 and result.mean == pytest.approx(0.075)
    assert result.mean - result.half_width == pytest.approx(expected.low)
    assert result.mean + result.half_width == pytest.approx(expected.high)
    assert difference({0: 0.5}, {1: 0.5}) is None
