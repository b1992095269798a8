"""Numbers over seeds, against scipy and by hand."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fullgrad_lightning.roar.report.results import Results
from fullgrad_lightning.roar.report.statistics import (
    accuracy,
    accuracy_difference,
    area,
    area_difference,
    areas,
    difference,
    estimate,
    mean_area,
)
from tests.roar_report.grids import cells


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_mean_deviation_and_interval(count: int) -> None:
    values = np.random.default_rng(count).uniform(0.5, 0.9, count).tolist()
    found = estimate(values)
    low, high = stats.t.interval(
        0.95, count - 1, loc=np.mean(values), scale=stats.sem(values, ddof=1)
    )
    assert found is not None and found.deviation is not None and found.half_width is not None
    assert found.count == count
    assert found.mean == pytest.approx(statistics.mean(values), rel=1e-12)
    assert found.deviation == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert found.mean - found.half_width == pytest.approx(low, rel=1e-9)
    assert found.mean + found.half_width == pytest.approx(high, rel=1e-9)


def test_interval_of_three_by_hand() -> None:
    found = estimate([0.80, 0.82, 0.84])  # s = 0.02; t(0.975; 2) = 4.302653 in printed tables
    assert found is not None and found.half_width is not None
    assert found.half_width == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    one = estimate([0.7])
    assert one is not None
    assert (one.mean, one.deviation, one.half_width, one.count) == (0.7, None, None, 1)
    assert estimate([]) is None


def test_equal_seeds_have_an_interval_of_width_zero() -> None:
    found = estimate([0.7, 0.7])
    assert found is not None and found.half_width == 0


def test_area_of_uneven_levels() -> None:
    levels, heights = [0.0, 0.1, 0.3, 0.9], [0.9, 0.8, 0.5, 0.1]
    by_hand = (0.1 * 0.85 + 0.2 * 0.65 + 0.6 * 0.3) / 0.9
    assert area(levels, heights) == pytest.approx(by_hand, rel=1e-12)
    assert area(levels, heights) == pytest.approx(np.trapezoid(heights, levels) / 0.9, rel=1e-12)


def test_areas_start_at_the_reference_of_their_seed(tmp_path: Path) -> None:
    measured = {("reference", 0.0): 0.9, ("random", 0.1): 0.8, ("random", 0.5): 0.4}
    results = Results(
        cells(tmp_path, ["random"], accuracy=lambda m, f, s: measured[m, f] - 0.01 * s)
    )
    whole = (0.1 * 0.85 + 0.4 * 0.6) / 0.5
    assert areas(results, "random") == pytest.approx({s: whole - 0.01 * s for s in range(3)})
    mean = mean_area(results, "random")
    assert mean is not None and mean.mean == pytest.approx(whole - 0.01)
    assert mean.deviation == pytest.approx(0.01)


def test_areas_of_kept_pixels_end_at_the_reference(tmp_path: Path) -> None:
    measured = {("reference", 0.0): 0.9, ("random", 0.1): 0.2, ("random", 0.5): 0.6}
    results = Results(
        cells(tmp_path, ["random"], accuracy=lambda m, f, s: measured[m, f], remove=False)
    )
    assert results.levels("random") == [0.1, 0.5, 1.0]
    assert areas(results, "random")[0] == pytest.approx((0.4 * 0.4 + 0.5 * 0.75) / 0.9)


def test_a_curve_that_is_not_whole_has_no_area(tmp_path: Path) -> None:
    missing = {("random", 0.5, 1), ("reference", 0.0, 2)}
    results = Results(
        cells(tmp_path, ["random"], accuracy=lambda *c: None if c in missing else 0.5)
    )
    assert areas(results, "random") == {0: 0.5}
    at = accuracy(results, "random", 0.5)
    assert at is not None and at.count == 2


def test_differences_are_paired_by_seed() -> None:
    found = difference({0: 0.5, 1: 0.7, 2: 0.9}, {1: 0.6, 2: 0.85, 3: 0.1})
    expected = stats.ttest_rel([0.7, 0.9], [0.6, 0.85]).confidence_interval(0.95)
    assert found is not None and found.half_width is not None
    assert found.count == 2 and found.mean == pytest.approx(0.075)
    assert found.mean - found.half_width == pytest.approx(expected.low)
    assert found.mean + found.half_width == pytest.approx(expected.high)
    assert difference({0: 0.5}, {1: 0.5}) is None


def test_pairing_takes_out_what_seeds_share(tmp_path: Path) -> None:
    """Seeds that differ by 10 %, and methods by 2 % in each: the difference is sure."""
    results = Results(
        cells(tmp_path, accuracy=lambda m, f, s: 0.5 + 0.1 * s + 0.02 * (m == "random"))
    )
    alone, paired = (how(results, "fullgrad", 0.5) for how in (accuracy, accuracy_difference))
    assert alone is not None and alone.half_width is not None and alone.half_width > 0.2
    assert paired is not None and paired.mean == pytest.approx(-0.02)
    assert paired.half_width == pytest.approx(0, abs=1e-12)
    over = area_difference(results, "fullgrad")
    assert over is not None and over.mean == pytest.approx(-0.018)  # at the reference equal


def test_without_random_there_is_no_difference(tmp_path: Path) -> None:
    results = Results(cells(tmp_path, ["fullgrad", "gradcam"]))
    assert accuracy_difference(results, "fullgrad", 0.5) is None
    assert area_difference(results, "fullgrad") is None
