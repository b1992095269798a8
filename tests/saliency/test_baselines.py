"""Baselines against closed forms, naive loops, scipy, and captum called by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from captum import attr
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.saliency.baselines.controls import RandomSaliency, Sobel
from fullgrad_lightning.saliency.baselines.gradients import InputGradient, InputXGradient
from fullgrad_lightning.saliency.baselines.integrated_gradients import IntegratedGradients
from fullgrad_lightning.saliency.baselines.smoothgrad import SmoothGrad, SmoothGradSquared, VarGrad
from fullgrad_lightning.utilities.seeds import sample_generator
from tests.decomposition.redrawn import images, redraw

TARGETS = torch.tensor([2, 0, 1])


class Quadratic(nn.Module):
    """f_k(x) = ½ Σ a_k x²: ∇f_k = a_k x, and every average over noise has a closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(images(3, 3, 6, 6, seed=5))

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None].square() * self.a).sum((2, 3, 4)) / 2


def network() -> nn.Module:
    return redraw(
        nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.GELU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 1),
            nn.Tanh(), nn.Flatten(), nn.Linear(20, 4),
        )
    ).eval()  # fmt: skip


def colours(values: Tensor) -> Tensor:
    return values.sum(1, keepdim=True)


def test_gradients_of_a_linear_network() -> None:
    net, x = redraw(nn.Sequential(nn.Flatten(), nn.Linear(108, 4))), images()
    weight = net[1].weight.detach()[TARGETS].view(3, 3, 6, 6)
    torch.testing.assert_close(InputGradient()(net, x, TARGETS), colours(weight.abs()))
    torch.testing.assert_close(InputXGradient()(net, x, TARGETS), colours((weight * x).abs()))


def test_gradients_as_captum_by_hand() -> None:
    net, x = network(), images()
    expected = attr.Saliency(net).attribute(x.clone().requires_grad_(), target=TARGETS)
    torch.testing.assert_close(InputGradient()(net, x, TARGETS), colours(expected.detach()))
    expected = attr.InputXGradient(net).attribute(x.clone().requires_grad_(), target=TARGETS)
    got = InputXGradient()(net, x.clone().requires_grad_(), TARGETS)
    torch.testing.assert_close(got, colours(expected.detach().abs()))


def test_maps_of_bfloat16_are_summed_in_float32() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(13, 1)).bfloat16()
    got = InputGradient()(net, torch.ones(1, 13, 1, 1, dtype=torch.bfloat16), 0)
    assert got.item() == net[1].weight.detach().float().abs().sum().item()


def test_integrated_gradients_as_captum_by_hand() -> None:
    net, x = network(), images()
    got = IntegratedGradients()(net, x, TARGETS)
    expected = attr.IntegratedGradients(net).attribute(x, target=TARGETS, n_steps=50)
    torch.testing.assert_close(got, colours(expected.detach().abs()), rtol=1e-9, atol=1e-12)


# captum keeps the weights of its quadrature in float32.
def test_integrated_gradients_as_a_naive_quadrature() -> None:
    net, x, (points, weights) = network(), images(), np.polynomial.legendre.leggauss(7)
    expected = torch.zeros_like(x)
    for point, weight in zip((1 + points) / 2, weights / 2, strict=True):
        on_path = (x * point).requires_grad_()
        f = net(on_path)[range(3), TARGETS.tolist()].sum()
        expected += weight * torch.autograd.grad(f, on_path)[0]
    got = IntegratedGradients(n_steps=7)(net, x, TARGETS)
    torch.testing.assert_close(got, colours((x * expected).abs()), rtol=1e-6, atol=1e-7)


def test_integrated_gradients_of_a_quadratic() -> None:
    net, x = Quadratic(), images()
    expected = colours((net.a.detach()[TARGETS] * x.square() / 2).abs())
    got = IntegratedGradients(n_steps=3)(net, x, TARGETS)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7)


def test_integrated_gradients_explain_the_class_of_the_image_all_along_the_path() -> None:
    net, x = network(), 10 * images()
    top, at_zero = net(x).argmax(1), int(net(torch.zeros_like(x[:1])).argmax())
    assert (top != at_zero).any()
    got = IntegratedGradients()(net, x)
    assert torch.equal(got, IntegratedGradients()(net, x, top))


def noisy_gradients(net: nn.Module, x: Tensor, ids: list[int], draws: int) -> Tensor:
    """Of each sample and draw, one by one: (N, draws, C, H, W)."""
    gradients = []
    for i, sample in enumerate(x):
        sigma = 0.15 * (sample.max() - sample.min())
        for draw in range(draws):
            noise = torch.randn(sample.shape, generator=sample_generator(4, ids[i], draw)).double()
            noisy = (sample + sigma * noise)[None].requires_grad_()
            f = net(noisy)[0, TARGETS[i]]
            gradients.append(torch.autograd.grad(f, noisy)[0][0])
    return torch.stack(gradients).unflatten(0, (len(x), draws))


def test_smoothgrad_and_relatives_as_a_naive_loop() -> None:
    net, x, ids = network(), images(), [3, 1, 3]
    each = noisy_gradients(net, x, ids, 9)
    for method, expected in (
        (SmoothGrad, each.mean(1).abs()),
        (SmoothGradSquared, each.square().mean(1)),
        (VarGrad, each.var(1, correction=0)),
    ):
        got = method(n_samples=9, seed=4, internal_batch_size=4)(
            net, x, TARGETS, sample_ids=torch.tensor(ids)
        )
        torch.testing.assert_close(got, colours(expected))


def test_smoothgrad_and_relatives_in_the_limit_of_many_draws() -> None:
    net, x = Quadratic(), images() * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1, 1)
    a = net.a.detach()[TARGETS]
    sigma = 0.3 * (x.amax((1, 2, 3)) - x.amin((1, 2, 3))).view(3, 1, 1, 1)
    for method, expected, bar in (
        (SmoothGrad, (a * x).abs(), 0.05),
        (SmoothGradSquared, a.square() * (x.square() + sigma.square()), 0.1),
        (VarGrad, a.square() * sigma.square(), 0.1),
    ):
        got = method(n_samples=4000, noise_level=0.3, internal_batch_size=4000)(net, x, TARGETS)
        error = (got - colours(expected)).abs().amax((1, 2, 3)) / colours(expected).amax((1, 2, 3))
        assert (error < bar).all(), (method, error)


def test_smoothgrad_and_relatives_without_noise_or_curvature() -> None:
    net, x = network(), images()
    plain = InputGradient()(net, x, TARGETS)
    torch.testing.assert_close(SmoothGrad(noise_level=0, n_samples=3)(net, x, TARGETS), plain)
    linear = redraw(nn.Sequential(nn.Flatten(), nn.Linear(108, 4)))
    weight = linear[1].weight.detach()[TARGETS].view(3, 3, 6, 6)
    got = SmoothGradSquared(n_samples=4)(linear, x, TARGETS)
    torch.testing.assert_close(got, colours(weight.square()))
    assert VarGrad(n_samples=4)(linear, x, TARGETS).max() <= 1e-14


def test_random_maps_are_uniform_and_know_nothing_of_the_network() -> None:
    x, ids = images(2, 3, 60, 50), torch.tensor([8, 9])
    got = RandomSaliency(seed=2)(network(), x, sample_ids=ids)
    assert got.min() >= 0 and got.max() < 1
    for row in got:
        assert torch.quantile(row, 0.25) == pytest.approx(0.25, abs=0.03)
        assert torch.quantile(row, 0.75) == pytest.approx(0.75, abs=0.03)
    assert abs(np.corrcoef(got.flatten(1).numpy())[0, 1]) < 0.06
    other = RandomSaliency(seed=2)(lambda x: x.flatten(1), x[:, :1], 3, sample_ids=ids)
    assert torch.equal(got, other)


def test_sobel_as_scipy() -> None:
    x = images(2, 4, 9, 7)
    expected = []
    for image in x.mean(1).numpy():
        across, down = (scipy.ndimage.sobel(image, axis, mode="nearest") for axis in (0, 1))
        expected.append(torch.from_numpy(np.hypot(across, down)))
    torch.testing.assert_close(Sobel()(network(), x)[:, 0], torch.stack(expected))


def test_sobel_of_a_ramp_and_of_one_pixel() -> None:
    ramp = torch.arange(6.0).expand(1, 2, 5, 6)
    assert (Sobel()(F.gelu, ramp)[..., 1:-1] == 8).all()
    assert Sobel()(F.gelu, torch.ones(1, 3, 1, 1)).item() == 0
