"""Wirings of networks: fan-out, shared and idle modules, constants, gates, untraced operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests.decomposition.exact import Around, assert_around_exact, assert_exact
from tests.decomposition.redrawn import images, redraw

CONSTANT = images(4, 6, 6, seed=4)


class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.idle = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 9, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, z: Tensor) -> Tensor:
        once = self.act(self.norm(self.conv(z)))
        return self.act(self.norm(self.conv(once)))


class SqueezeExcite(nn.Module):
    def __init__(self, gate: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1), gate

    def forward(self, z: Tensor) -> Tensor:
        squeezed = F.adaptive_avg_pool2d(z, 1)
        return z * self.gate(self.up(F.relu(self.down(squeezed))))


class WithParameters(nn.Module):
    """Class tokens, position embeddings, layer scale: constants that are trained."""

    def __init__(self, join: str) -> None:
        super().__init__()
        self.join = join
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.position = nn.Parameter(torch.zeros(1, 37, 4))
        self.scale = nn.Parameter(torch.zeros(4))

    def forward(self, z: Tensor) -> Tensor:
        z = z.flatten(2).transpose(1, 2)
        token = self.token.expand(len(z), -1, -1)
        if self.join == "stack":
            return torch.stack([z, self.scale * z.tanh(), self.position[:, 1:].expand_as(z)], 1)
        return self.scale * torch.cat([token, z], 1) + self.position


class DynamicConvolution(nn.Module):
    """Weights computed from the image: with bias and without, in one grouped call."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Linear(4, 4 * 4 * 9)
        self.bias = nn.Parameter(torch.zeros(4)) if bias else None

    def forward(self, z: Tensor) -> Tensor:
        n = len(z)
        weight = self.weight(z.mean((2, 3))).view(n * 4, 4, 3, 3)
        bias = None if self.bias is None else self.bias.repeat(n)
        y = F.conv2d(z.reshape(1, n * 4, 6, 6), weight, bias, padding=1, groups=n)
        return y.view(n, 4, 6, 6)


def fan_out(z: Tensor) -> Tensor:
    """One tensor read by every kind of operation."""
    mean = z.mean((2, 3), keepdim=True)
    parts = [
        F.conv2d(z, torch.ones(4, 4, 1, 1, dtype=z.dtype), torch.ones(4, dtype=z.dtype)),
        F.batch_norm(z, torch.ones_like(CONSTANT[:, 0, 0]), torch.full((4,), 2.0).to(z)),
        F.gelu(z), F.max_pool2d(z, 3, 1, 1), z + CONSTANT, z * z, z / (2 + z.abs()), z.softmax(1),
        z * torch.sigmoid(mean), 1 - z, F.layer_norm(z, (6,)), z @ z.transpose(2, 3), z - mean,
        torch.cat([z[:, :2], CONSTANT[:2].expand(len(z), -1, -1, -1)], 1), z.clamp(-1, 1),
        z.masked_fill(z > 1, 3.0), z.amax(1, keepdim=True) * z, torch.where(z > 0, z, CONSTANT),
    ]  # fmt: skip
    return sum(parts) + z


def idle_outputs(z: Tensor) -> Tensor:
    a, _, c, _ = (z * torch.sigmoid(z)).chunk(4, 1)
    _, b = z.tanh().split([1, 3], 1)
    first, *_ = z.exp().unbind(1)
    values, _ = z.sort(1)
    return torch.cat([a, c, b, first[:, None], values[:, :1], z.topk(2, 1).values], 1)


def with_numbers(z: Tensor) -> Tensor:
    return (1 - z) * 0.5 + 2 / (3 + z.abs()) - (z - 1.5) / 2 + 3 * (-z) + (0.7 + z)


def quotients(z: Tensor) -> Tensor:
    d = 2 + z.square()
    return z / d + z.div(3) + CONSTANT / d + d.reciprocal() + torch.true_divide(d, z.abs() + 1)


def powers(z: Tensor) -> Tensor:
    p = 1 + z.abs()
    return 2**z + p**0.5 + z**3 + p ** (-1) + p**z + p.sqrt() + p.rsqrt() + z.pow(0) + p**CONSTANT


def detached(z: Tensor) -> Tensor:
    with torch.no_grad():
        scale = z.abs().amax((1, 2, 3), keepdim=True)
    return torch.sigmoid(z) * (z.detach() * 0.1) + z / scale + z.argmax(1, keepdim=True)


MIDDLES = {
    "module called twice, another never": CalledTwice,
    "se gate, sigmoid": lambda: SqueezeExcite(torch.sigmoid),
    "se gate, hard sigmoid": lambda: SqueezeExcite(nn.Hardsigmoid()),
    "class token and positions": lambda: WithParameters("cat"),
    "stack with a parameter": lambda: WithParameters("stack"),
    "dynamic convolution": lambda: DynamicConvolution(bias=False),
    "dynamic convolution with bias": lambda: DynamicConvolution(bias=True),
    "fan-out": lambda: fan_out,
    "idle outputs": lambda: idle_outputs,
    "numbers": lambda: with_numbers,
    "quotients": lambda: quotients,
    "powers": lambda: powers,
    "bilinear": lambda: lambda z: F.bilinear(z, z.tanh(), images(5, 6, 6, seed=9)),
    "product with itself": lambda: lambda z: z * z * z,
    "checkpoint": lambda: lambda z: checkpoint(F.gelu, z, use_reentrant=False) * z,
    "checkpoint of modules": lambda: _Checkpointed(),
    "identity": lambda: nn.Identity(),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.9), nn.Sigmoid(), nn.Dropout2d(0.9)),
    "mixed up in a list": lambda: lambda z: torch.cat([t * t for t in z.split(1, 1)][::-1], 1),
}


class _Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.SiLU(inplace=True))

    def forward(self, z: Tensor) -> Tensor:
        return checkpoint(self.block, z, use_reentrant=False) + z


@pytest.mark.parametrize("name", MIDDLES)
def test_exact_however_it_is_wired(name: str) -> None:
    x = images()
    assert_around_exact(Around(MIDDLES[name](), x), x)


def test_constants_beside_the_graph_are_exact() -> None:
    """Results of no_grad, detach and argmax are constants, though differences see them move."""
    x = images()
    fg = assert_exact(Around(detached, x), x)
    assert "constant" in {site.kind for site in fg.sites.values()}


CLOSED_FORMS = {
    "1 - x": (lambda z: 1 - z, lambda z: torch.ones_like(z)),
    "x / y": (lambda z: z / (2 + z.square()), lambda z: _quotient(z)),
    "2 ** x": (lambda z: 2**z, lambda z: 2**z * (1 - z * torch.log(torch.tensor(2.0).to(z)))),
    "x * y": (lambda z: z * z.flip(1), lambda z: -z * z.flip(1)),
    "x + c": (lambda z: z + CONSTANT, lambda z: CONSTANT.expand_as(z)),
    "x ** 3": (lambda z: z**3, lambda z: -2 * z**3),
    "c / x": (lambda z: 1 / z, lambda z: 2 / z),
    "x @ y": (lambda z: z @ z.mT, lambda z: -z @ z.mT),
}


def _quotient(z: Tensor) -> Tensor:
    d = 2 + z.square()
    return z / d - z * (2 - z.square()) / d**2


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_arithmetic_has_its_closed_form(name: str) -> None:
    function, bias = CLOSED_FORMS[name]
    x = images()
    net = Around(function, x)
    fg = assert_around_exact(net, x)
    with torch.no_grad():
        expected = (net.gradient_at_middle(x) * bias(net.stem(x))).flatten(1).sum(1)
    found = sum(term for name, term in fg.bias_terms.items() if name.startswith("middle"))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_parameter_terms_are_what_autograd_tells_of_the_biases() -> None:
    """⟨∂f/∂b, b⟩ of each layer, summed over its calls, in a network with fan-out and reuse."""
    x = images()
    net = Around(CalledTwice(), x)
    fg = assert_around_exact(net, x)
    for path in ("stem", "middle.conv", "head"):
        bias = net.get_submodule(path).bias
        for i in range(len(x)):
            (gradient,) = torch.autograd.grad(net(x[i : i + 1]).max(), bias)
            terms = [t[i] for n, t in fg.bias_terms.items() if n.split("#")[0] == path]
            assert len(terms) == (2 if path == "middle.conv" else 1)
            torch.testing.assert_close(sum(terms), (gradient * bias).sum().detach())
    assert not any("idle" in name for name in fg.sites)


def test_functional_only() -> None:
    """A plain function of x, with no module at all."""
    w, b, v = images(4, 3, 3, 3, seed=2), images(1, 4, seed=3)[0], images(5, 4, seed=4)
    assert_exact(lambda x: F.linear(F.silu(F.conv2d(x, w, b)).mean((2, 3)), v, v[:, 0]), images())


def test_a_network_whose_output_is_zero() -> None:
    x = images()
    net = Around(nn.GELU(), x)
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.zero_()
    fg = assert_exact(net, x)
    assert (fg.output == 0).all()
    assert (fg.relative_residual == 0).all()
    assert (fg.residual_over_output == 0).all()


def test_the_whole_can_be_zero_while_the_terms_are_not() -> None:
    fg = assert_exact(lambda x: (x.exp() - x.exp().detach()).flatten(1)[:, :2], images())
    assert (fg.output == 0).all()
    assert fg.input_term.abs().min() > 0.01


def test_dynamic_linear_with_activation_bias_has_minus_the_product() -> None:
    def net(x: Tensor) -> Tensor:
        weight, bias = x.T @ images(len(x), 5, seed=8), x.sum() * torch.ones(5, dtype=x.dtype)
        return F.linear(x, weight.T, bias)

    fg = assert_exact(net, images(1, 4))
    assert {site.kind for site in fg.sites.values()} == {"product"}


def test_redrawn_networks_are_never_vacuous() -> None:
    net = redraw(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), seed=3)
    assert all(t.abs().min() > 0 for t in net.state_dict().values() if t.is_floating_point())
