"""Maps as colours: what is salient is bright, and nothing is made up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from matplotlib import colormaps
from torch import Tensor

from fullgrad_lightning.visualization import heatmap, overlay

GREY = torch.full((1, 3, 40, 40), 0.5)


def square() -> Tensor:
    """A map with a salient square, (1, 1, 40, 40)."""
    maps = torch.zeros(1, 1, 40, 40)
    maps[..., 10:30, 10:30] = 1
    return maps


def smooth(n: int = 1) -> Tensor:
    """Maps that take 1,600 values, (n, 1, 40, 40)."""
    return torch.linspace(0, 1, 1600).view(1, 1, 40, 40).repeat(n, 1, 1, 1)


def over_grey(maps: Tensor, *, signed: bool | None = None) -> Tensor:
    return overlay(GREY.expand(len(maps), -1, -1, -1), maps, signed=signed)


BOTH = pytest.mark.parametrize("draw", [heatmap, over_grey])
Draw = Callable[..., Tensor]


@BOTH
def test_a_salient_region_is_bright(draw: Draw) -> None:
    shown = draw(square())
    assert shown.shape == (1, 3, 40, 40) and shown.dtype == torch.float32
    inside, outside = shown[..., 10:30, 10:30], shown[..., :10]
    assert inside.mean() > 2 * outside.mean()
    assert shown.min() >= 0 and shown.max() <= 1


def test_colours_are_those_of_the_colormap() -> None:
    maps = torch.arange(256.0).repeat(1, 1, 20, 1)  # (1, 1, 20, 256)
    clipped = (maps[0, 0, 0] / maps.flatten().quantile(0.995, interpolation="lower")).clamp(max=1)
    expected = torch.tensor(colormaps["inferno"](clipped.numpy())[:, :3]).float()
    shown = heatmap(maps)[0, :, 0].T
    assert (shown - expected).abs().max() < 0.02  # a neighbour among 256 colours at most


@BOTH
def test_brightness_grows_with_the_value(draw: Draw) -> None:
    brightness = draw(smooth()).mean(1).flatten()
    assert (brightness.diff() > -0.02).all() and brightness[-1] > 4 * brightness[0]


@BOTH
def test_the_scale_of_a_map_does_not_matter(draw: Draw) -> None:
    exact = draw(smooth(), signed=False)
    assert (draw(smooth() * 1e-20, signed=False) - exact).abs().max() < 0.02
    assert (draw(smooth() * 1e20, signed=False) - exact).abs().max() < 0.02
    assert (draw(smooth() + 5, signed=False) - exact).abs().max() < 0.02


@BOTH
def test_outliers_are_clipped(draw: Draw) -> None:
    maps = square()
    maps[..., 0, :7] = 1000  # 7 of 1,600 pixels: less than half a percent
    assert torch.equal(draw(maps)[..., 1:, :], draw(square())[..., 1:, :])


@BOTH
def test_more_than_outliers_are_not_clipped(draw: Draw) -> None:
    maps = square()
    maps[..., 0, :9] = 1000
    dark = draw(maps)[..., 1:, :]
    assert (dark - draw(torch.zeros(1, 1, 40, 40))[..., 1:, :]).abs().max() < 0.02


@BOTH
def test_a_few_hot_pixels_alone_are_seen(draw: Draw) -> None:
    maps = torch.zeros(1, 1, 40, 40)
    maps[..., 3, 3] = 1
    brightness = draw(maps).mean(1)[0]
    assert brightness[3, 3] > 3 * brightness[5, 5]


@BOTH
@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e30])
@pytest.mark.parametrize("rounding", [0.0, 1e-6])
@pytest.mark.parametrize("signed", [False, True])
def test_a_constant_map_makes_no_colours_up(
    draw: Draw, value: float, rounding: float, signed: bool
) -> None:
    maps = value * (1 + rounding * smooth())
    shown = draw(maps, signed=signed)
    assert shown[0].flatten(1).std(1).max() == 0
    assert (shown.amax(1) - shown.amin(1)).max() < 0.02  # grey


@BOTH
def test_every_map_for_itself(draw: Draw) -> None:
    maps = torch.cat([square(), 50 * smooth(), torch.zeros(1, 1, 40, 40)])
    alone = torch.cat([draw(one) for one in maps.split(1)])
    assert torch.equal(draw(maps), alone)


@BOTH
def test_what_is_not_finite_is_0(draw: Draw) -> None:
    maps, broken = square(), square()
    for pixel, value in enumerate(("nan", "inf", "-inf")):
        broken[..., 0, pixel] = float(value)
    assert torch.equal(draw(broken), draw(maps))


@BOTH
def test_the_sign_is_shown(draw: Draw) -> None:
    maps = torch.zeros(1, 1, 40, 40)
    maps[..., :20, :10], maps[..., :20, 30:] = 1, -1
    red, _, blue = draw(maps)[0]
    assert (red - blue)[:20, :10].min() > 0.3 and (blue - red)[:20, 30:].min() > 0.3
    assert (red - blue)[20:].abs().max() < 0.02
    half = draw(maps / 2 + maps.relu() / 2)[0]  # symmetric: -0.5 is half as blue as 1 is red
    assert torch.equal(half[:, :20, :10], draw(maps)[0, :, :20, :10])
    assert 0.1 < (half[2] - half[0])[0, 35] < (blue - red)[0, 35]


@BOTH
def test_signs_are_asked_for_or_found(draw: Draw) -> None:
    maps = smooth()
    assert torch.equal(draw(maps), draw(maps, signed=False))
    assert not torch.equal(draw(maps), draw(maps, signed=True))
    assert torch.equal(draw(maps - 0.5), draw(maps - 0.5, signed=True))
    overshoot = maps - 0.005  # as bicubic interpolation makes it
    assert torch.equal(draw(overshoot), draw(overshoot, signed=False))


def test_maps_are_enlarged_smoothly() -> None:
    ramp = torch.tensor([[0.0, 1.0]]).expand(1, 1, 2, 2)
    for shown in (heatmap(ramp, size=(40, 40)), over_grey(ramp)):
        brightness = shown.mean(1)[0]
        assert shown.shape == (1, 3, 40, 40)
        assert len(brightness[0].unique()) > 10
        assert torch.equal(brightness, brightness[:1].expand(40, 40))


def test_the_image_is_seen_where_nothing_is_salient() -> None:
    images = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    shown = overlay(images, square())[..., :10]
    pair = torch.stack([shown.mean(1).flatten(), images[..., :10].mean(1).flatten()])
    assert pair.corrcoef()[0, 1] > 0.999


@pytest.mark.parametrize("shape", [(40, 40), (1, 40, 40), (1, 3, 40, 40)])
@BOTH
def test_other_shapes_of_maps(draw: Draw, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"maps must be \(N, 1, h, w\), got shape"):
        draw(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 3, 40, 40), (1, 1, 40, 40), (3, 40, 40)])
def test_other_shapes_of_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images must be \(1, 3, H, W\), one for each map"):
        overlay(torch.zeros(shape), square())
