"""Similarity of maps, against scipy and a literal SSIM."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from fullgrad_lightning.evaluation.sanity.similarity import similarities

GENERATOR = torch.Generator().manual_seed(0)
MAPS = torch.randn(4, 1, 13, 17, generator=GENERATOR, dtype=torch.float64)
OTHERS = MAPS + torch.randn(MAPS.shape, generator=GENERATOR, dtype=torch.float64)


def literal_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004, equation 13, window by window, on maps (H, W) rescaled to [0, 1]."""
    one, other = ((m - m.min()) / (m.max() - m.min()) for m in (one, other))
    line = np.array([math.exp(-(i**2) / (2 * 1.5**2)) for i in range(-5, 6)])
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2
    found = []
    for i in range(one.shape[0] - 10):
        for j in range(one.shape[1] - 10):
            a, b = one[i : i + 11, j : j + 11], other[i : i + 11, j : j + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a = (window * (a - mean_a) ** 2).sum()
            var_b = (window * (b - mean_b) ** 2).sum()
            cov = (window * (a - mean_a) * (b - mean_b)).sum()
            above = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
            found.append(above / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))
    return float(np.mean(found))


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlations_are_scipys(ties: bool) -> None:
    maps, others = (m.round() if ties else m for m in (MAPS, OTHERS))
    found = similarities(maps, others)
    for i in range(len(maps)):
        one, other = maps[i].flatten().numpy(), others[i].flatten().numpy()
        signed, unsigned = spearmanr(one, other), spearmanr(abs(one), abs(other))
        assert found["spearman"][i].item() == pytest.approx(signed.statistic, abs=1e-12)
        assert found["spearman_abs"][i].item() == pytest.approx(unsigned.statistic, abs=1e-12)


def test_signs_tell_the_two_rank_correlations_apart() -> None:
    found = similarities(MAPS, -MAPS)
    assert found["spearman"].tolist() == pytest.approx([-1] * 4)
    assert found["spearman_abs"].tolist() == pytest.approx([1] * 4)


def test_ssim_is_that_of_wang() -> None:
    found = similarities(MAPS, OTHERS)["ssim"]
    expected = [literal_ssim(MAPS[i, 0].numpy(), OTHERS[i, 0].numpy()) for i in range(4)]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)  # it computes in float32


def test_identical_maps_of_any_scale_are_alike() -> None:
    for values in similarities(MAPS.float(), 10 * MAPS.float() + 5).values():
        assert values.shape == (4,) and values.dtype == torch.float64
    assert similarities(MAPS, 10 * MAPS)["ssim"].tolist() == pytest.approx([1] * 4)
    assert similarities(MAPS, 10 * MAPS + 5)["ssim"].tolist() == pytest.approx([1] * 4)
    one = similarities(MAPS[:1], MAPS[:1])
    assert [one[key].tolist() for key in one] == [[pytest.approx(1)]] * 3


@pytest.mark.parametrize("constant", [0.0, 2.5])
def test_constant_maps(constant: float) -> None:
    flat: Tensor = torch.full_like(MAPS, constant)
    assert similarities(flat, flat)["spearman"].tolist() == [1.0] * 4
    assert similarities(flat, flat)["ssim"].tolist() == pytest.approx([1.0] * 4)
    assert similarities(flat, MAPS)["spearman"].tolist() == [0.0] * 4
    assert similarities(flat, MAPS)["ssim"].isfinite().all()


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"SSIM has a window of 11 pixels"):
        similarities(torch.rand(1, 1, 10, 20), torch.rand(1, 1, 10, 20))
    with pytest.raises(ValueError, match=r"like maps"):
        similarities(torch.rand(2, 1, 16, 16), torch.rand(1, 1, 16, 16))
