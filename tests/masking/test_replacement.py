"""Fills of normalised images: made before the normalisation, and normalised."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.masking.fills import fill_pixels
from fullgrad_lightning.masking.options import FILLS, Fill
from fullgrad_lightning.masking.replacement import PixelReplacer

MEAN, STD, IDS = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), [5, 6]


def samples() -> tuple[Tensor, Tensor]:
    """Images (2, 3, 8, 9) before normalisation, and which pixels are replaced."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 8, 9, generator=generator, dtype=torch.float64)
    return images, torch.rand(2, 8, 9, generator=generator) < 0.4


def normalised(images: Tensor) -> Tensor:
    mean, std = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return (images - mean) / std


@pytest.mark.parametrize("fill", FILLS)
def test_the_same_as_filling_first_and_normalising_then(fill: Fill) -> None:
    images, replaced = samples()
    mean = images.new_tensor(MEAN)
    expected = normalised(fill_pixels(images, replaced, fill, mean=mean, sample_ids=IDS, seed=3))
    x = normalised(images)
    before = x.clone()
    found = PixelReplacer(fill=fill, mean=MEAN, std=STD, seed=3)(x, replaced, IDS)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_other_pixels_keep_their_bytes(dtype: torch.dtype) -> None:
    images, replaced = samples()
    x = normalised(images).to(dtype)
    found = PixelReplacer(mean=MEAN, std=STD)(x, replaced, IDS)
    stays = ~replaced[:, None].expand_as(x)
    assert found.dtype == dtype and torch.equal(found[stays], x[stays])
    assert (found != x)[~stays].all()


def test_black_and_mean_by_hand() -> None:
    x, replaced = torch.full((1, 3, 1, 2), 9.0), torch.tensor([[[True, False]]])
    black = PixelReplacer(mean=MEAN, std=STD)(x, replaced, [0])
    assert black[0, :, 0, 0].tolist() == pytest.approx([-2, -2, -2])
    mean = PixelReplacer(fill="mean", mean=MEAN, std=STD)(x, replaced, [0])
    assert mean[0, :, 0, 0].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert PixelReplacer()(x, replaced, [0])[0, :, 0, 0].tolist() == [0, 0, 0]


def test_images_that_were_not_normalised_may_be_uint8() -> None:
    x, replaced = torch.full((1, 3, 1, 2), 9, dtype=torch.uint8), torch.tensor([[[True, False]]])
    assert PixelReplacer()(x, replaced, [0])[0, 0, 0].tolist() == [0, 9]
    with pytest.raises(TypeError, match=r"must be floating point, got torch\.uint8"):
        PixelReplacer(mean=MEAN, std=STD)(x, replaced, [0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "grey"}, "fill must be one of 'mean', 'black', .*, got 'grey'"),
        ({"mean": MEAN}, "mean and std must be given together"),
        ({"fill": "mean"}, "'mean' is the mean of the normalisation: give mean and std"),
        ({"mean": MEAN, "std": (0.2, 0.0, 0.2)}, "std must be positive"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelReplacer(**options)


def test_another_number_of_channels() -> None:
    images, replaced = samples()
    with pytest.raises(ValueError, match=r"one value for each of the 3 channels.*0\.5, 0\.4"):
        PixelReplacer(mean=[0.5, 0.4], std=[0.5, 0.5])(images, replaced, IDS)


def test_one_value_stands_for_all_channels() -> None:
    images, replaced = samples()
    single, each = (
        PixelReplacer(mean=[0.5] * n, std=[0.25] * n)(images, replaced, IDS) for n in (1, 3)
    )
    assert torch.equal(single, each)


@pytest.mark.parametrize("fill", FILLS)
def test_bound_to_images_it_replaces_the_same_pixels(fill: Fill) -> None:
    images, replaced = samples()
    replacer = PixelReplacer(fill=fill, mean=MEAN, std=STD)
    bound = replacer.bind(images, IDS)
    for mask in (replaced, ~replaced):
        expected = replacer(images, mask, IDS)
        assert torch.equal(bound(mask, slice(0, 2)), expected)
        assert torch.equal(bound(mask, slice(1, 2)), expected[1:])
