"""Noisy linear imputation: against a dense system made by loops, and its noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from fullgrad_lightning.masking.imputation import (
    interpolate_hole,
    neighbour_pairs,
    noisy_linear,
    sum_neighbours,
)

SIZES = [(1, 2), (1, 9), (8, 1), (2, 2), (3, 3), (7, 12), (12, 7), (10, 10)]
DIRECT, DIAGONAL = 1 / 6, 1 / 12
NOISE = 0.01


def naive(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """One equation for each unknown pixel, as the paper has them, solved as a dense system."""
    height, width = hole.shape
    unknown = [(int(i), int(j)) for i, j in np.argwhere(hole)]
    matrix = np.zeros((len(unknown), len(unknown)))
    right = np.zeros((len(unknown), len(image)))
    for row, (i, j) in enumerate(unknown):
        weights = {
            (i + down, j + across): DIRECT if down == 0 or across == 0 else DIAGONAL
            for down in (-1, 0, 1)
            for across in (-1, 0, 1)
            if (down, across) != (0, 0) and 0 <= i + down < height and 0 <= j + across < width
        }
        matrix[row, row] = 1
        for place, weight in weights.items():
            share = weight / sum(weights.values())
            if hole[place]:
                matrix[row, unknown.index(place)] -= share
            else:
                right[row] += share * image[:, place[0], place[1]]
    return np.linalg.solve(matrix, right).T


def holes(size: tuple[int, int]) -> list[np.ndarray]:
    """Few, many and all pixels but one unknown, at random; and a block."""
    random = np.random.default_rng(0)
    found = [random.random(size) < share for share in (0.1, 0.5, 0.9)]
    lonely = np.ones(size, dtype=bool)
    lonely[-1, size[1] // 2] = False
    block = np.zeros(size, dtype=bool)
    block[: size[0] // 2 + 1, : size[1] // 2] = True
    return [hole for hole in (*found, lonely, block) if hole.any() and not hole.all()]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_as_a_dense_system_made_by_loops(size: tuple[int, int], channels: int) -> None:
    image = np.random.default_rng(1).normal(size=(channels, *size))
    assert holes(size)
    for hole in holes(size):
        unseen = np.where(hole, np.nan, image)
        expected = naive(image, hole)
        np.testing.assert_allclose(interpolate_hole(unseen, hole), expected, rtol=1e-9, atol=1e-11)


def test_what_is_flat_or_a_ramp_is_restored() -> None:
    """Linear functions are their own neighbours' mean, but for the border's missing ones."""
    rows, columns = np.mgrid[:20, :30].astype(np.float64)
    hole = np.zeros((20, 30), dtype=bool)
    hole[4:15, 6:20] = True
    for image in (np.full((1, 20, 30), 0.3), (2 * rows - columns)[None]):
        np.testing.assert_allclose(
            interpolate_hole(image, hole), image[:, hole], rtol=1e-10, atol=1e-10
        )
    everywhere = np.ones((20, 30), dtype=bool)
    everywhere[7, 7] = False
    np.testing.assert_allclose(
        interpolate_hole(np.full((1, 20, 30), 0.3), everywhere), 0.3, rtol=1e-9
    )


def test_neighbours_by_loops() -> None:
    values = np.random.default_rng(2).normal(size=(2, 4, 5))
    expected, pairs = np.zeros_like(values), {}
    for i, j in np.ndindex(4, 5):
        for k, m in np.ndindex(4, 5):
            if (i, j) != (k, m) and abs(i - k) <= 1 and abs(j - m) <= 1:
                weight = 2 if i == k or j == m else 1
                expected[:, i, j] += weight * values[:, k, m]
                pairs[5 * i + j, 5 * k + m] = weight
    np.testing.assert_allclose(sum_neighbours(values), expected, rtol=1e-12)
    found = {(i, j): weight for i, j, weight in zip(*neighbour_pairs(4, 5), strict=True)}
    assert found == {pair: weight for pair, weight in pairs.items() if pair[0] < pair[1]}


def imputed(image: Tensor, hole: Tensor, **options: float) -> Tensor:
    return noisy_linear(image, hole, **{"sample_id": 4, **options})  # type: ignore[arg-type]


def test_the_noise_is_gaussian_of_a_hundredth_of_full_scale() -> None:
    image = torch.full((3, 60, 60), 0.5)
    hole = torch.rand(60, 60, generator=torch.Generator().manual_seed(0)) < 0.7
    noise = (imputed(image, hole) - 0.5)[:, hole]
    assert kstest(noise.flatten().numpy() / NOISE, "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise.numpy()) - np.eye(3)).max() < 0.06
    louder = (imputed(image, hole, scale=255.0) - 0.5)[:, hole]
    torch.testing.assert_close(louder, 255 * noise)
    assert torch.equal(imputed(image, hole)[:, ~hole], image.double()[:, ~hole])


def test_the_noise_depends_on_seed_and_id_alone() -> None:
    image, hole = torch.zeros(1, 9, 9), torch.zeros(9, 9, dtype=torch.bool)
    hole[2:5, 3:7] = True
    first = imputed(image, hole)
    assert torch.equal(imputed(image, hole), first)
    assert not torch.equal(imputed(image, hole, sample_id=5), first)
    assert not torch.equal(imputed(image, hole, seed=1), first)
    larger = hole.clone()
    larger[7:] = True
    torch.testing.assert_close(imputed(image, larger)[:, hole], first[:, hole])


def test_where_nothing_is_known() -> None:
    hole = torch.ones(40, 50, dtype=torch.bool)
    image = torch.full((2, 40, 50), float("nan"))
    for unknown, expected in ((None, [0.0, 0.0]), (torch.tensor([0.25, 0.5]), [0.25, 0.5])):
        filled = noisy_linear(image, hole, unknown=unknown, sample_id=1)
        assert filled.mean((1, 2)).tolist() == pytest.approx(expected, abs=2e-3)
        assert filled.std((1, 2)).tolist() == pytest.approx([NOISE] * 2, rel=0.1)


def test_where_all_is_known() -> None:
    image = torch.rand(2, 5, 6)
    assert torch.equal(imputed(image, torch.zeros(5, 6, dtype=torch.bool)), image.double())
