"""Ranks of pixels: against a naive sort, and how ties are broken."""

from __future__ import annotations

import subprocess
import sys

import pytest
import scipy.stats
import torch
from torch import Tensor

from fullgrad_lightning.masking.ranking import rank_pixels

SIZES = [(1, 1), (1, 9), (7, 1), (2, 3), (28, 28), (13, 40), (300, 260)]


def naive_ranks(saliency: Tensor) -> Tensor:
    """Of one map without ties, pixel by pixel."""
    pixels = saliency.flatten().tolist()
    order = sorted(range(len(pixels)), key=lambda pixel: pixels[pixel], reverse=True)
    ranks = [0] * len(pixels)
    for rank, pixel in enumerate(order):
        ranks[pixel] = rank
    return torch.tensor(ranks).view(saliency.shape)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_a_naive_sort(size: tuple[int, int], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    pixels = size[0] * size[1]
    maps = torch.stack([torch.randperm(pixels, generator=generator) for _ in range(3)])
    saliency = (maps.to(dtype) - pixels // 2).view(3, 1, *size)
    got = rank_pixels(saliency, [3, 1, 4])
    assert got.shape == (3, *size) and got.dtype == torch.int64
    assert torch.equal(got, torch.stack([naive_ranks(m) for m in saliency[:, 0]]))
    assert torch.equal(rank_pixels(saliency[:, 0], [3, 1, 4]), got)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_with_ties_it_is_a_permutation_that_follows_the_map(
    size: tuple[int, int], levels: int
) -> None:
    generator = torch.Generator().manual_seed(levels)
    saliency = torch.randint(levels, (2, *size), generator=generator) / levels - 0.4
    ranks = rank_pixels(saliency, torch.tensor([5, 6]))
    for row, m in zip(ranks.flatten(1), saliency.flatten(1), strict=True):
        assert torch.equal(row.sort().values, torch.arange(row.numel()))
        assert (m[row.argsort()].diff() <= 0).all()


def test_the_top_of_a_constant_map_is_spread() -> None:
    """No pixel, row, column or quadrant has more than its share: χ² tests over many samples."""
    samples, side, top = 400, 12, 36
    ranks = rank_pixels(torch.zeros(samples, 1, side, side), range(samples))
    chosen = (ranks < top).sum(0)
    # Drawn without replacement: counts vary by this much less than those of a multinomial.
    less = (side**2 - top) / (side**2 - 1)
    for counts in (chosen.flatten(), chosen.sum(0), chosen.sum(1), quadrants(chosen)):
        expected = samples * top / len(counts)
        statistic = float((counts - expected).square().sum() / (expected * less))
        assert 1e-3 < scipy.stats.chi2.sf(statistic, len(counts) - 1) < 1 - 1e-3, counts


def quadrants(chosen: Tensor) -> Tensor:
    half = len(chosen) // 2
    return chosen.view(2, half, 2, half).sum((1, 3)).flatten()


def test_ties_depend_on_seed_and_id_alone() -> None:
    constant = torch.full((4, 1, 9, 8), 0.25)
    ranks = rank_pixels(constant, [7, -2, 2**60, 7])
    assert torch.equal(ranks[0], ranks[3])
    assert not torch.equal(ranks[0], ranks[1]) and not torch.equal(ranks[1], ranks[2])
    assert torch.equal(rank_pixels(constant[:2], torch.tensor([2**60, 7])), ranks[[2, 0]])
    assert not torch.equal(rank_pixels(constant, [7, -2, 2**60, 7], seed=1)[0], ranks[0])
    assert torch.equal(rank_pixels(3 * constant.double(), [7, -2, 2**60, 7]), ranks)


def test_no_randomness_of_the_process_is_used() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    here = rank_pixels(torch.zeros(1, 5, 5), [3])
    assert torch.equal(torch.get_rng_state(), before)
    code = (
        "import torch; from fullgrad_lightning.masking.ranking import rank_pixels\n"
        "print(rank_pixels(torch.zeros(1, 5, 5), [3]).flatten().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(here.flatten().tolist())


def test_both_zeros_tie() -> None:
    zeros = torch.zeros(1, 1, 6, 6)
    mixed = torch.where(torch.arange(36).view(zeros.shape) % 3 == 0, zeros, -zeros)
    assert torch.signbit(mixed).any()
    assert torch.equal(rank_pixels(mixed, [1]), rank_pixels(zeros, [1]))


def test_the_map_is_not_modified_and_may_need_a_gradient() -> None:
    saliency = torch.rand(2, 1, 4, 4, requires_grad=True)
    before = saliency.detach().clone()
    assert not rank_pixels(saliency, [0, 1]).requires_grad
    assert torch.equal(saliency, before)
    assert rank_pixels(torch.rand(0, 1, 4, 4), []).shape == (0, 4, 4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_maps_that_are_not_finite_are_refused_by_id(bad: float) -> None:
    saliency = torch.rand(20, 1, 3, 3)
    saliency[[1, 4], 0, 2, 1] = bad
    with pytest.raises(ValueError, match="maps of samples 101, 104 hold NaN or infinity"):
        rank_pixels(saliency, range(100, 120))
    with pytest.raises(ValueError, match=r"100, 101, .*, 109 and 10 more hold"):
        rank_pixels(saliency * bad, range(100, 120))


def test_bad_input_is_refused() -> None:
    with pytest.raises(TypeError, match=r"floating point, got torch\.int64"):
        rank_pixels(torch.zeros(1, 2, 2, dtype=torch.int64), [0])
    for shape in ((3, 3), (1, 2, 3, 3)):
        with pytest.raises(ValueError, match=r"\(N, 1, H, W\) or \(N, H, W\), got shape"):
            rank_pixels(torch.zeros(shape), [0])
    with pytest.raises(ValueError, match="got 2 maps and 1 ids"):
        rank_pixels(torch.zeros(2, 3, 3), [0])
