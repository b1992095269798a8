"""Numbers over seeds, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from fullgrad_lightning.evaluation.roar.report.results import GridResults
from tests.evaluation.roar.report.grids import cells


def test_areas_start_at_the_reference_of_their_seed(tmp_path: Path) -> None:
    measured = {("reference", 0.0): 0.9, ("random", 0.1): 0.8, ("random", 0.5): 0.4}
    results = GridResults(
        cells(tmp_path, ["random"], accuracy=lambda m, f, s: measured[m, f] - 0.01 * s)
    )
    whole = (0.1 * 0.85 + 0.4 * 0.6) / 0.5
    assert results.areas("random") == pytest.approx({s: whole - 0.01 * s for s in range(3)})
    mean = results.mean_area("random")
    assert mean is not None and mean.mean == pytest.approx(whole - 0.01)
    assert mean.deviation == pytest.approx(0.01)


def test_areas_of_kept_pixels_end_at_the_reference(tmp_path: Path) -> None:
    measured = {("reference", 0.0): 0.9, ("random", 0.1): 0.2, ("random", 0.5): 0.6}
    results = GridResults(
        cells(tmp_path, ["random"], accuracy=lambda m, f, s: measured[m, f], remove=False)
    )
    assert results.levels("random") == [0.1, 0.5, 1.0]
    assert results.areas("random")[0] == pytest.approx((0.4 * 0.4 + 0.5 * 0.75) / 0.9)


def test_a_curve_that_is_not_whole_has_no_area(tmp_path: Path) -> None:
    missing = {("random", 0.5, 1), ("reference", 0.0, 2)}
    results = GridResults(
        cells(tmp_path, ["random"], accuracy=lambda *c: None if c in missing else 0.5)
    )
    assert results.areas("random") == {0: 0.5}
    at = results.mean_accuracy("random", 0.5)
    assert at is not None and at.count == 2


def test_pairing_takes_out_what_seeds_share(tmp_path: Path) -> None:
    """Seeds that differ by 10 %, and methods by 2 % in each: the difference is sure."""
    results = GridResults(
        cells(tmp_path, accuracy=lambda m, f, s: 0.5 + 0.1 * s + 0.02 * (m == "random"))
    )
    alone = results.mean_accuracy("fullgrad", 0.5)
    paired = results.accuracy_difference("fullgrad", 0.5)
    assert alone is not None and alone.half_width is not None and alone.half_width > 0.2
    assert paired is not None and paired.mean == pytest.approx(-0.02)
    assert paired.half_width == pytest.approx(0, abs=1e-12)
    over = results.area_difference("fullgrad")
    assert over is not None and over.mean == pytest.approx(-0.018)  # at the reference equal


def test_without_random_there_is_no_difference(tmp_path: Path) -> None:
    results = GridResults(cells(tmp_path, ["fullgrad", "gradcam"]))
    assert results.accuracy_difference("fullgrad", 0.5) is None
    assert results.area_difference("fullgrad") is None
