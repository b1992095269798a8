"""Every ψ against its formula, channel by channel, and on maps that are degenerate."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.postprocess import PRESETS, RELEASED, Preset
from tests.decomposition.exact import plainly
from tests.decomposition.redrawn import images, redraw
from tests.saliency import naive
from tests.saliency.networks import NETWORKS, assert_near, network

TARGET = torch.tensor([1, 4])
OWN = sorted(set(PRESETS) - RELEASED)
DROPS_CONSTANTS = ("paper", "positive", "negative")


@cache
def cached(name: str, dtype: torch.dtype) -> nn.Module:
    return network(name, dtype)


def batch(dtype: torch.dtype, height: int = 48, width: int = 64) -> Tensor:
    return images(2, 3, height, width).to(dtype)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", NETWORKS)
def test_explicit_biases_as_the_formula_says(name: str, preset: str) -> None:
    model, x = cached(name, torch.float64), batch(torch.float64)
    saliency = FullGrad(preset, sites="bias")(model, x, TARGET)
    assert_near(saliency, naive.fullgrad(preset, model, x, TARGET), 1e-9)


@pytest.mark.parametrize(
    ("name", "preset"),
    [(name, preset) for name in ("plain", "residual", "dense", "mobile") for preset in OWN]
    + [("mobile_relu6", "paper"), ("mobile_relu6", "signed")],
)
def test_all_biases_as_the_formula_says(name: str, preset: str) -> None:
    model, x = cached(name, torch.float64), batch(torch.float64)
    saliency = FullGrad(preset, sites="all")(model, x, TARGET)
    assert_near(saliency, naive.fullgrad(preset, model, x, TARGET, sites="all"), 1e-9)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["plain", "residual", "dense", "mobile"])
def test_in_single_precision(name: str, preset: str) -> None:
    model, x = cached(name, torch.float32), batch(torch.float32)
    saliency = FullGrad(preset, sites="bias")(model, x, TARGET)
    assert saliency.dtype == torch.float32
    assert_near(saliency, naive.fullgrad(preset, model, x, TARGET), 1e-5)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["residual", "mobile"])
def test_rounding_is_that_of_the_formula(name: str, preset: str) -> None:
    """In float32 no farther from the truth than the formula written out, by more than a little.

    ``pytorch_grad_cam`` gives the rounding of nearly constant channels a vote, so that at odd sizes
    the formula is off from itself by 1e-5.
    """
    x = batch(torch.float64, 33, 47)
    truth = naive.fullgrad(preset, cached(name, torch.float64), x, TARGET)
    model, single = cached(name, torch.float32), x.float()
    ours = FullGrad(preset, sites="bias")(model, single, TARGET)
    literal = naive.fullgrad(preset, model, single, TARGET)
    off = [(map_ - truth).abs().amax() / truth.abs().amax() for map_ in (ours, literal)]
    assert off[0] <= 4 * off[1] + 1e-6


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("height", "width"), [(45, 67), (32, 32), (33, 97)])
def test_odd_sizes_and_maps_that_shrink_to_a_point(preset: str, height: int, width: int) -> None:
    # At 32×32 the last maps of a ResNet are 1×1: only "idiap" keeps them.
    model, x = cached("residual", torch.float64), batch(torch.float64, height, width)
    assert_near(FullGrad(preset, sites="bias")(model, x), naive.fullgrad(preset, model, x), 1e-9)


@pytest.mark.parametrize("preset", ["paper", "idiap", "signed"])
def test_bicubic(preset: str) -> None:
    model, x = cached("residual", torch.float64), batch(torch.float64)
    saliency = FullGrad(preset, interpolation="bicubic")(model, x)
    assert_near(saliency, naive.fullgrad(preset, model, x, mode="bicubic"), 1e-9)
    assert (saliency - FullGrad(preset)(model, x)).abs().max() > 1e-3 * saliency.abs().max()


@pytest.mark.parametrize("preset", PRESETS)
def test_without_multiplying_by_the_input(preset: str) -> None:
    model, x = cached("plain", torch.float64), batch(torch.float64)
    saliency = FullGrad(preset, multiply_by_input=False)(model, x)
    assert_near(saliency, naive.fullgrad(preset, model, x, multiply_by_input=False), 1e-9)
    assert (saliency - FullGrad(preset)(model, x)).abs().max() > 1e-3 * saliency.abs().max()


def test_released_codes_take_explicit_biases_and_others_all() -> None:
    model, x = cached("mobile", torch.float64), batch(torch.float64)
    for preset in PRESETS:
        taken, other = ("bias", "all") if preset in RELEASED else ("all", "bias")
        saliency = FullGrad(preset)(model, x)
        assert_near(saliency, FullGrad(preset, sites=taken)(model, x), 1e-12)
        assert (saliency - FullGrad(preset, sites=other)(model, x)).abs().max() > 1e-3


@pytest.mark.parametrize("preset", PRESETS)
def test_a_constant_channel(preset: str) -> None:
    """Before global average pooling every channel's gradient is constant on the image."""
    model = redraw(
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    )
    x = batch(torch.float64, 11, 14)
    saliency = FullGrad(preset)(model, x)
    _, gradient = plainly(model, x, None)
    input_term = naive.combined(preset, gradient * x, [])
    assert_near(saliency, naive.fullgrad(preset, model, x), 1e-9)
    if preset in DROPS_CONSTANTS:
        assert_near(saliency, input_term, 1e-12)
    elif preset != "pytorch_grad_cam":
        assert (saliency - input_term).abs().min() > 1e-6  # it adds a constant


@pytest.mark.parametrize("preset", DROPS_CONSTANTS)
def test_rounding_noise_on_a_constant_channel_has_no_vote(preset: str) -> None:
    noise = 1 + 8 * torch.finfo(torch.float64).eps * images(1, 1, 9, 9)
    assert noise.std() > 0
    sign = -1 if preset == "negative" else 1
    psi = PRESETS[preset]
    assert psi(sign * noise).abs().max() == 0
    saliency = psi(sign * (noise + 1e-9 * images(1, 1, 9, 9, seed=2)))
    assert saliency.max() == pytest.approx(1) and saliency.min() == 0


def test_a_constant_negative_channel_of_a_signed_preset_has_no_vote_either() -> None:
    psi = Preset(part="signed", rescale="channel")
    assert torch.equal(psi(torch.full((2, 3, 5, 5), -2.0)), torch.zeros(2, 1, 5, 5))


@pytest.mark.parametrize("preset", PRESETS)
def test_where_all_gradients_are_zero(preset: str) -> None:
    x = batch(torch.float64)
    saliency = FullGrad(preset)(cached("plain", torch.float64), x, lambda y: 0 * y.sum(1))
    assert saliency.shape == (2, 1, 48, 64)
    assert torch.equal(saliency, torch.zeros_like(saliency))


@pytest.mark.parametrize("preset", PRESETS)
def test_zero_gradient_of_one_sample_alone(preset: str) -> None:
    x = batch(torch.float64)
    weight = torch.tensor([0.0, 1.0], dtype=torch.float64)
    model = cached("plain", torch.float64)
    saliency = FullGrad(preset)(model, x, lambda y: weight * y[:, 2])
    assert torch.equal(saliency[0], torch.zeros_like(saliency[0]))
    assert_near(saliency[1:], naive.fullgrad(preset, model, x[1:], 2), 1e-9)


@pytest.mark.parametrize("preset", PRESETS)
def test_an_image_of_one_pixel(preset: str) -> None:
    model = redraw(nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Flatten(), nn.Linear(6, 4)))
    x = batch(torch.float64, 1, 1)
    saliency, expected = FullGrad(preset)(model, x), naive.fullgrad(preset, model, x)
    assert saliency.shape == (2, 1, 1, 1)
    torch.testing.assert_close(saliency, expected, rtol=1e-9, atol=1e-12)
    assert (expected == 0).all() == (preset in (*DROPS_CONSTANTS, "pytorch_grad_cam"))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "shape", [(2, 5, 7, 9), (3, 2, 4, 5), (5, 40, 24, 30), (2, 3, 200, 210), (1, 70, 90, 7)]
)
def test_a_preset_is_itself_a_function_of_tensors_of_any_size(
    preset: str, shape: tuple[int, ...]
) -> None:
    values = images(*shape)
    expected = torch.stack([sum(naive.LITERAL[preset](sample)) for sample in values])[:, None]
    torch.testing.assert_close(PRESETS[preset](values), expected, rtol=1e-9, atol=1e-10)
