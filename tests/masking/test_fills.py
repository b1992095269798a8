"""Values that replace pixels: bytes that stay, each fill by hand, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from fullgrad_lightning.masking.fills import FILL_RULES, fill_pixels, mask_as_image
from fullgrad_lightning.masking.imputation import interpolate_hole
from fullgrad_lightning.masking.options import FILLS, Fill
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.masking.selection import PixelSelection

DTYPES = [torch.uint8, torch.float32, torch.float64, torch.bfloat16]
IDS = [10, 20, 30]
NOISE = 0.01


def batch(dtype: torch.dtype = torch.float64, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, channels, 16, 24, generator=generator, dtype=torch.float64)
    return (images * 255).round().to(dtype) if dtype == torch.uint8 else images.to(dtype)


def mean_of(images: Tensor) -> Tensor:
    return images.double().mean((0, 2, 3))


def masks(fraction: float) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    ranks = rank_pixels(torch.rand(3, 16, 24, generator=generator), IDS)
    return PixelSelection(fraction=fraction).replaced(ranks)


def filled(images: Tensor, replaced: Tensor, fill: Fill, seed: int = 0) -> Tensor:
    return fill_pixels(images, replaced, fill, mean=mean_of(images), sample_ids=IDS, seed=seed)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9, 1.0])
def test_all_other_pixels_keep_their_bytes(fill: Fill, dtype: torch.dtype, fraction: float) -> None:
    images, replaced = batch(dtype), masks(fraction)
    before = images.clone()
    result = filled(images, replaced, fill)
    assert torch.equal(images, before) and result.data_ptr() != images.data_ptr()
    assert result.dtype == dtype and result.shape == images.shape
    everywhere = replaced[:, None].expand_as(images)
    assert torch.equal(result[~everywhere], images[~everywhere])
    assert result.double().isfinite().all()
    if fraction:
        assert (result != images)[everywhere].double().mean() > 0.9
    else:
        assert torch.equal(result.view(torch.uint8), images.view(torch.uint8))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_is_its_images(fill: Fill, dtype: torch.dtype) -> None:
    images, replaced = batch(dtype), masks(0.6)
    together = filled(images, replaced, fill)
    for i, sample_id in enumerate(IDS):
        alone = fill_pixels(
            images[i : i + 1], replaced[i : i + 1], fill, mean=mean_of(images),
            sample_ids=[sample_id],
        )  # fmt: skip
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize("dtype", DTYPES)
def test_mean_and_black(dtype: torch.dtype) -> None:
    images, replaced = batch(dtype), masks(0.4)
    black, mean = (filled(images, replaced, fill) for fill in ("black", "mean"))
    expected = mean_of(images)
    for i, channel in np.ndindex(3, 3):
        assert (black[i, channel][replaced[i]] == 0).all()
        value = float(expected[channel])
        exact = round(value) if dtype == torch.uint8 else float(torch.tensor(value, dtype=dtype))
        assert (mean[i, channel][replaced[i]].double() == exact).all()


def test_blur_is_the_gaussian_of_scipy() -> None:
    images, replaced = batch(), masks(0.5)
    radius = (6, 6)  # 3σ of σ = 16 / 8
    expected = np.stack([
        [gaussian_filter(c, 2.0, mode="mirror", radius=radius) for c in image]
        for image in images.numpy()
    ])  # fmt: skip
    where = replaced[:, None].expand_as(images)
    got = filled(images, replaced, "blur")
    torch.testing.assert_close(got[where], torch.from_numpy(expected)[where], rtol=0, atol=1e-12)
    of_bytes = filled((images * 255).round().byte(), replaced, "blur")
    assert (of_bytes.double() - 255 * got)[where].abs().max() <= 1.01


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 3), (64, 5)])
def test_blur_of_small_images(size: tuple[int, int]) -> None:
    images = torch.full((2, 1, *size), 0.75)
    everything = torch.ones(2, *size, dtype=torch.bool)
    blurred = fill_pixels(images, everything, "blur", sample_ids=[0, 1])
    torch.testing.assert_close(blurred, images)


def test_noisy_linear_is_the_solution_and_noise() -> None:
    images, replaced = batch(), masks(0.7)
    for options in ({}, {"seed": 3}):
        got = filled(images, replaced, "noisy_linear", **options)
        noise = []
        for image, hole, result in zip(images, replaced, got, strict=True):
            solution = interpolate_hole(image.numpy(), hole.numpy())
            noise.append(result[:, hole].numpy() - solution)
        assert np.std(noise) == pytest.approx(NOISE, rel=0.05)
        assert abs(np.mean(noise)) < NOISE / 20
    assert not torch.equal(got, filled(images, replaced, "noisy_linear"))
    of_bytes = filled((images * 255).round().byte(), replaced, "noisy_linear", seed=3)
    where = replaced[:, None].expand_as(images)
    clipped = (255 * got).clamp(0, 255)
    assert (of_bytes.double() - clipped)[where].abs().max() <= 1.01


def test_noisy_linear_where_nothing_is_known_is_the_mean_and_noise() -> None:
    images = batch()
    got = filled(images, masks(1.0), "noisy_linear")
    torch.testing.assert_close(got.mean((0, 2, 3)), mean_of(images), rtol=0, atol=2e-3)
    without = fill_pixels(images, masks(1.0), "noisy_linear", sample_ids=IDS)
    assert 0 < without.abs().max() < 6 * NOISE


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_shape_of_the_hole(dtype: torch.dtype) -> None:
    images, replaced = batch(dtype), masks(0.3)
    shape = mask_as_image(images, replaced)
    full = 255 if dtype == torch.uint8 else 1
    assert shape.dtype == dtype
    for i, channel in np.ndindex(3, 3):
        assert torch.equal(shape[i, channel], torch.where(replaced[i], 0, full).to(dtype))


@pytest.mark.parametrize("fill", FILLS)
def test_no_images(fill: Fill) -> None:
    none, mask = torch.empty(0, 3, 4, 5), torch.empty(0, 4, 5, dtype=torch.bool)
    assert fill_pixels(none, mask, fill, mean=torch.zeros(3), sample_ids=[]).shape == none.shape


def test_bad_input_is_refused() -> None:
    images, replaced = batch(), masks(0.3)
    with pytest.raises(ValueError, match=r"fill must be one of 'mean', 'black', .*, got 'grey'"):
        fill_pixels(images, replaced, "grey", sample_ids=IDS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'mean' needs mean="):
        fill_pixels(images, replaced, "mean", sample_ids=IDS)
    with pytest.raises(ValueError, match=r"each of 3 channels, got shape \(2,\)"):
        fill_pixels(images, replaced, "black", mean=torch.zeros(2), sample_ids=IDS)
    with pytest.raises(ValueError, match="Got 3 images and 2 sample ids"):
        fill_pixels(images, replaced, "noisy_linear", sample_ids=[1, 2])
    with pytest.raises(TypeError, match=r"floating point or uint8, got torch\.int64"):
        mask_as_image(images.long(), replaced)
    with pytest.raises(TypeError, match=r"replaced must be bool, got torch\.float64"):
        mask_as_image(images, replaced.double())
    for wrong in (replaced[0], replaced[:, None], replaced[:2], replaced[..., :-1]):
        with pytest.raises(ValueError, match=r"replaced \(N, H, W\), got shapes"):
            mask_as_image(images, wrong)


def test_each_name_has_a_rule_that_says_what_it_depends_on() -> None:
    """Names stand in a module without torch, values here: they must agree."""
    assert tuple(FILL_RULES) == FILLS
    images, other = batch(), masks(0.3)
    one = masks(0.3) & (torch.arange(24) < 12)
    for fill, rule in FILL_RULES.items():
        under_both = one & other
        results = [filled(images, mask, fill) for mask in (one, other)]
        same = results[0][under_both[:, None].expand_as(images)].equal(
            results[1][under_both[:, None].expand_as(images)]
        )
        assert same != rule.depends_on_mask, fill
        if not rule.uses_mean:
            plain = fill_pixels(images, one, fill, sample_ids=IDS)
            assert plain.equal(results[0])
