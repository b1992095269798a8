"""Selections of pixels: exact counts, a naive choice, and complements."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.masking.selection import PixelSelection

SIZES = [(1, 1), (1, 5), (2, 2), (3, 5), (7, 7), (28, 28), (32, 32), (17, 50)]
FRACTIONS = [0, 1e-9, 0.01, 0.1, 1 / 3, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-9, 1]


def ranks(*size: int, samples: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return rank_pixels(torch.randn(samples, *size, generator=generator), range(samples))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_counts_are_exact(size: tuple[int, int], fraction: float) -> None:
    expected = round(fraction * (size[0] * size[1]))
    for order in ("most_salient", "least_salient"):
        removed = PixelSelection(fraction=fraction, order=order).replaced(ranks(*size))
        assert removed.dtype == torch.bool and removed.shape == (4, *size)
        assert removed.sum((1, 2)).tolist() == [expected] * 4
        kept = PixelSelection(fraction=fraction, order=order, remove=False).replaced(ranks(*size))
        assert torch.equal(kept, ~removed)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_the_pixels_are_those_of_a_naive_choice(size: tuple[int, int], fraction: float) -> None:
    image = ranks(*size)[0]
    by_rank = [divmod(pixel, size[1]) for pixel in image.flatten().argsort().tolist()]
    count = round(fraction * len(by_rank))
    for order, chosen in (
        ("most_salient", by_rank[:count]),
        ("least_salient", by_rank[len(by_rank) - count :]),
    ):
        found = PixelSelection(fraction=fraction, order=order).replaced(image).nonzero().tolist()
        assert {tuple(place) for place in found} == set(chosen)


def test_most_and_least_salient_are_complements() -> None:
    for size in SIZES:
        pixels = size[0] * size[1]
        for count in range(0, pixels + 1, max(1, pixels // 7)):
            most = PixelSelection(fraction=count / pixels)
            least = PixelSelection(fraction=1 - count / pixels, order="least_salient")
            assert torch.equal(most.replaced(ranks(*size)), ~least.replaced(ranks(*size)))
            keep = PixelSelection(fraction=1 - count / pixels, order="least_salient", remove=False)
            assert torch.equal(most.replaced(ranks(*size)), keep.replaced(ranks(*size)))


def test_images_of_a_batch_lose_as_many_pixels_at_other_places() -> None:
    replaced = PixelSelection(fraction=0.3).replaced(ranks(28, 28, samples=20))
    assert replaced.sum((1, 2)).unique().tolist() == [round(0.3 * 784)]
    assert len(replaced.flatten(1).unique(dim=0)) == 20


def test_larger_fractions_contain_smaller_ones() -> None:
    for order in ("most_salient", "least_salient"):
        before = torch.zeros(4, 9, 9, dtype=torch.bool)
        for fraction in sorted(FRACTIONS):
            now = PixelSelection(fraction=fraction, order=order).replaced(ranks(9, 9))
            assert (before <= now).all()
            before = now


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_any_leading_dimensions_and_integers(dtype: torch.dtype) -> None:
    several = ranks(6, 5).to(dtype)
    select = PixelSelection(fraction=0.4, order="least_salient")
    together = select.replaced(several.view(2, 2, 6, 5))
    assert torch.equal(together.view(4, 6, 5), torch.stack([select.replaced(r) for r in several]))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        *[({"fraction": bad}, r"fraction must be a share of the pixels, 0…1")
          for bad in (-0.1, 1.01, float("nan"), "0.3", None, True)],
        ({"order": "random"}, "order must be one of .*'least_salient'"),
        ({"remove": 1}, "remove must be True or False"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PixelSelection(**options)


def test_bad_ranks_are_refused() -> None:
    with pytest.raises(TypeError, match=r"integers, got torch\.float32"):
        PixelSelection().replaced(torch.rand(3, 3))
    with pytest.raises(ValueError, match=r"\(…, H, W\), got shape \(9,\)"):
        PixelSelection().replaced(torch.arange(9))
