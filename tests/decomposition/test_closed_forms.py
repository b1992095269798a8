"""The paper's propositions and examples, by hand (Srinivas & Fleuret, NeurIPS 2019)."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import images, redraw


def double(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def convnet() -> nn.Sequential:
    return redraw(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3),
            nn.ReLU(), nn.Flatten(), nn.Linear(8, 5),
        )
    )  # fmt: skip


class TestProposition1:
    """A map of the input-gradient kind cannot be complete: it does not know the biases."""

    def test_other_biases_same_input_gradient_other_output(self) -> None:
        net = convnet()
        other = copy.deepcopy(net)
        with torch.no_grad():
            other[-1].bias += 3.0  # moves f, and no unit across its kink
        x = images()
        one, two = fgl.full_gradients(net, x, 2), fgl.full_gradients(other, x, 2)
        torch.testing.assert_close(one.input_gradient, two.input_gradient, rtol=0, atol=0)
        torch.testing.assert_close(two.output - one.output, double(3.0, 3.0, 3.0))
        torch.testing.assert_close(two.bias_terms["6"] - one.bias_terms["6"], double(3.0, 3.0, 3.0))


class TestProposition2:
    """Of a ReLU network, f = ⟨∇ₓf, x⟩ without biases, and f = ⟨∇ₓf, x⟩ + Σ ⟨∇_b f, b⟩ with them."""

    def test_without_biases_the_input_term_is_everything(self) -> None:
        net = convnet()
        for module in net:
            if hasattr(module, "bias"):
                module.bias = None
        fg = fgl.full_gradients(net, images())
        assert fg.bias_gradients == {}
        torch.testing.assert_close(fg.input_term, fg.output, rtol=1e-12, atol=0)

    def test_bias_terms_are_the_gradients_of_the_biases(self) -> None:
        net, x = convnet(), images(1)
        fg = fgl.full_gradients(net, x, 1)
        biases = {
            name.removesuffix(".bias"): p for name, p in net.named_parameters() if "bias" in name
        }
        gradients = torch.autograd.grad(net(x)[0, 1], list(biases.values()))
        assert list(fg.bias_gradients) == list(biases)
        for (name, bias), gradient in zip(biases.items(), gradients, strict=True):
            values = fg.bias_gradients[name].values[0].flatten(1) if name != "6" else None
            per_channel = gradient * bias
            if values is not None:
                torch.testing.assert_close(values.sum(1), per_channel, rtol=1e-11, atol=1e-12)
            torch.testing.assert_close(
                fg.bias_terms[name], per_channel.sum()[None], rtol=1e-11, atol=1e-12
            )


class TestProposition3:
    """Any non-linearity η is a linear map and an implicit bias: b = η(z) − η′(z)·z."""

    def test_tanh_network_by_hand(self) -> None:
        net, x = redraw(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))), images(5, 4)
        fg = fgl.full_gradients(net, x, 0)
        z = net[0](x)
        slope, after = 1 - torch.tanh(z) ** 2, net[2].weight[0]
        torch.testing.assert_close(
            fg.bias_gradients["1"].values, (after * (torch.tanh(z) - slope * z)).detach()
        )
        torch.testing.assert_close(
            fg.bias_gradients["0"].values, (after * slope * net[0].bias).detach()
        )
        torch.testing.assert_close(fg.input_gradient, ((after * slope) @ net[0].weight).detach())
        assert fg.bias_gradients["1"].kind == "nonlinearity"

    def test_batch_norm_has_the_bias_of_its_affine_map(self) -> None:
        net, x = redraw(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))), images()
        fg = fgl.full_gradients(net, x, lambda y: y.pow(1).sum((1, 2, 3)))
        bn = net[1]
        b = bn.bias - bn.weight * bn.running_mean / torch.sqrt(bn.running_var + bn.eps)
        expected = b[None, :, None, None].expand(3, 4, 6, 6).detach()
        torch.testing.assert_close(fg.bias_gradients["1"].values, expected)
        assert fg.bias_gradients["1"].kind == "normalization"
        assert fg.bias_gradients["1"].spatial == "NCHW"


def test_saturation() -> None:
    """f(x) = a − ReLU(b − x) with a = b = 1 at x = 2: input 0, biases (1, 0)."""

    class Saturated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = (nn.Parameter(double(1.0)) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.a - torch.relu(self.b - x)

    fg = fgl.full_gradients(Saturated(), double([2.0]), target=0)
    assert fg.output.item() == 1 and fg.input_term.item() == 0
    at_b, at_a = fg.bias_terms.values()
    assert (at_a.item(), at_b.item()) == (1, 0)


def piecewise(x: Tensor) -> Tensor:
    """Example 1: linear with gradient (1, 3) near the origin, (3, 1) beyond (1, 1)."""
    one, two = x[:, 0], x[:, 1]
    near, far = (one <= 1) & (two <= 1), (one > 1) & (two > 1)
    return torch.where(near, one + 3 * two, torch.where(far, 3 * one + two, torch.zeros_like(one)))


def test_example_1_integrated_gradients_vary_where_full_gradients_do_not() -> None:
    points = double([4.0, 4.0], [1.5, 1.5], [2.0, 2.0])
    steps = (torch.arange(60_000, dtype=torch.float64) + 0.5) / 60_000
    for point, expected in zip(points, ((10, 6), (2.5, 3.5), (4, 4)), strict=True):
        path = (steps[:, None] * point).requires_grad_()
        (gradients,) = torch.autograd.grad(piecewise(path).sum(), path)
        torch.testing.assert_close(
            point * gradients.mean(0), double(*expected), rtol=1e-3, atol=1e-3, check_dtype=False
        )
    fg = fgl.full_gradients(piecewise, points, target=lambda y: y)
    assert torch.equal(fg.input_gradient, double(*[[3.0, 1.0]] * 3))
    assert all(not term.any() for term in fg.bias_terms.values())
    torch.testing.assert_close(fg.input_term, double(16.0, 6.0, 8.0))


def test_example_2_full_gradients_see_the_last_bias_and_input_gradients_do_not() -> None:
    """f(x) = w₁·ReLU(w₀x + b₀) + b₁: randomising b₁ leaves the input-gradient as it is."""
    net = redraw(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)))
    randomised = copy.deepcopy(net)
    nn.init.constant_(randomised[2].bias, -7.0)
    x = images(3, 4)
    before, after = fgl.full_gradients(net, x), fgl.full_gradients(randomised, x)
    assert torch.equal(before.input_gradient, after.input_gradient)
    assert torch.equal(before.bias_gradients["0"].values, after.bias_gradients["0"].values)
    assert torch.equal(
        after.bias_gradients["2"].values, torch.full((3, 1), -7.0, dtype=torch.float64)
    )
    assert not torch.allclose(before.bias_gradients["2"].values, after.bias_gradients["2"].values)


def test_weak_dependence() -> None:
    """Definition 1: constant over a region on which f is linear."""
    net, x = convnet(), images()
    near = x + 1e-9 * images(seed=2)
    one, two = fgl.full_gradients(net, x, 0), fgl.full_gradients(net, near, 0)
    assert not torch.equal(one.output, two.output)
    torch.testing.assert_close(one.input_gradient, two.input_gradient, rtol=1e-12, atol=1e-13)
    for name, gradient in one.bias_gradients.items():
        torch.testing.assert_close(
            gradient.values, two.bias_gradients[name].values, rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU()])
def test_maps_and_unplaced_terms_sum_to_f(activation: nn.Module) -> None:
    net = redraw(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), activation, nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 5),
        )
    )  # fmt: skip
    x = images()
    fg, maps = fgl.full_gradients(net, x), fgl.layer_maps(net, x)
    placed = sum(site_map.sum((1, 2, 3)) for site_map in maps.values())
    unplaced = sum(term for name, term in fg.bias_terms.items() if name not in maps)
    torch.testing.assert_close(fg.input_term + placed + unplaced, fg.output, rtol=1e-12, atol=1e-12)
    assert set(maps) == {name for name, b in fg.bias_gradients.items() if b.spatial}
    for name, site_map in maps.items():
        torch.testing.assert_close(site_map, fg.bias_gradients[name].values.sum(1, keepdim=True))
