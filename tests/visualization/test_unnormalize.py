"""Inputs as pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import normalize

from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.visualization import unnormalized
from fullgrad_lightning.visualization.unnormalize import input_pixels, resized, to_pixels

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalisation_is_undone(dtype: torch.dtype) -> None:
    pictures = noise(2, 3, 5, 7)
    x = normalize(pictures.to(dtype), MEAN, STD).requires_grad_()
    shown = unnormalized(x, MEAN, STD)
    assert shown.dtype == torch.float32 and not shown.requires_grad
    assert torch.allclose(shown, pictures, atol=1e-6)


@pytest.mark.parametrize("mean", [0.5, [0.5], (0.5, 0.5, 0.5), torch.tensor([0.5])])
def test_one_number_for_all_channels(mean: float | list[float] | Tensor) -> None:
    pictures = noise(2, 3, 5, 7)
    assert torch.allclose(unnormalized(pictures * 4 - 2, mean, 0.25), pictures, atol=1e-6)


def test_values_outside_are_clamped() -> None:
    x = torch.tensor([-9.0, 0.0, 9.0]).view(1, 1, 1, 3)
    assert unnormalized(x, 0.5, 0.25)[0, 0].tolist() == [[0.0, 0.5, 1.0]]


def test_without_constants_each_image_by_its_own_range() -> None:
    x = noise(2, 3, 5, 7) * torch.tensor([1.0, 50.0]).view(2, 1, 1, 1) - 3
    shown = unnormalized(x)
    for image, before in zip(shown, x, strict=True):
        assert image.min() == 0 and image.max() == 1
        expected = (before - before.min()) / (before.max() - before.min())
        assert torch.allclose(image, expected)


def test_a_constant_image_is_of_one_colour() -> None:
    assert unnormalized(torch.full((1, 3, 4, 4), 7.0)).unique().tolist() == [0.0]


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_other_channels_are_grey(channels: int) -> None:
    x = noise(2, channels, 5, 7)
    shown = unnormalized(x, 0.0, 1.0)
    assert shown.shape == (2, 3, 5, 7)
    assert torch.allclose(shown, x.mean(1, keepdim=True).expand(2, 3, 5, 7))


def test_what_is_not_finite_is_0() -> None:
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]).view(1, 1, 2, 2)
    assert unnormalized(x)[0, 0].tolist() == [[0.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("shape", "mean", "std", "message"),
    [
        ((3, 4, 4), None, None, r"\(N, C, H, W\), got shape \(3, 4, 4\)"),
        ((1, 3, 4, 4), [0.5], None, "given together"),
        ((1, 3, 4, 4), None, [0.5], "given together"),
        ((1, 3, 4, 4), [0.5, 0.5], [0.5], "mean must hold one value for each of the 3"),
        ((1, 3, 4, 4), [0.5], [0.5] * 4, "std must hold one value"),
    ],
)
def test_errors(
    shape: tuple[int, ...], mean: list[float] | None, std: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        unnormalized(torch.zeros(shape), mean, std)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_are_those_of_the_picture(channels: int) -> None:
    x, normalization = noise(2, channels, 5, 7) * 4 - 2, Normalization((0.5,), (0.25,))
    pixels = input_pixels(x, normalization)
    assert pixels.shape == (2, 5, 7, 3) and pixels.dtype == np.uint8
    expected = (unnormalized(x, 0.5, 0.25) * 255).round().permute(0, 2, 3, 1)
    assert torch.equal(torch.from_numpy(pixels).float(), expected)


def test_pixels_without_a_normalisation_are_in_0_to_1() -> None:
    x = torch.tensor([-1.0, 0.2, 2.0]).view(1, 1, 1, 3)
    assert input_pixels(x, None)[0, 0, :, 0].tolist() == [0, 51, 255]


@pytest.mark.parametrize("normalization", [None, Normalization((0.5,), (0.25,))])
def test_integers_are_pixels_already(normalization: Normalization | None) -> None:
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    pixels = input_pixels(x.expand(-1, 3, -1, -1), normalization)
    assert (pixels == x[0, 0, :, :, None].numpy()).all()


def test_pictures_are_rounded() -> None:
    picture = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 1.0]).view(1, 1, 1, 4).expand(-1, 3, -1, -1)
    assert to_pixels(picture)[0, 0, :, 1].tolist() == [0, 0, 1, 255]


def test_pixels_become_squares() -> None:
    picture = noise(1, 3, 4, 5)
    assert torch.equal(
        resized(picture, (12, 15)), picture.repeat_interleave(3, 2).repeat_interleave(3, 3)
    )
    assert resized(picture, (4, 5)) is picture


def test_smaller_pictures_are_averages() -> None:
    checkerboard = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    small = resized(checkerboard[None, None].float(), (8, 8))
    assert torch.allclose(small, torch.tensor(0.5), atol=0.02)
