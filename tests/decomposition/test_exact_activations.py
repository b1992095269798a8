"""Non-linearities: the bias-gradient of each is g·(φ(z) − z·φ′(z)), written out by hand."""

from __future__ import annotations

from math import pi, sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.decomposition.exact import Around, assert_around_exact, assert_exact, inside_middle
from tests.decomposition.redrawn import images

SPREAD = 3.0  # reaches the clipped parts of ReLU6 and of the hard functions


def _gelu(z: Tensor) -> Tensor:
    return -(z**2) * torch.exp(-(z**2) / 2) / sqrt(2 * pi)


def _gelu_tanh(z: Tensor) -> Tensor:
    t = torch.tanh(sqrt(2 / pi) * (z + 0.044715 * z**3))
    return -0.5 * z**2 * (1 - t**2) * sqrt(2 / pi) * (1 + 3 * 0.044715 * z**2)


def _silu(z: Tensor) -> Tensor:
    return -(z**2) * torch.sigmoid(z) * torch.sigmoid(-z)


def _elu(alpha: float, z: Tensor) -> Tensor:
    return torch.where(z > 0, 0, alpha * (torch.exp(z) * (1 - z) - 1))


def _softplus(z: Tensor) -> Tensor:
    return torch.log1p(torch.exp(z)) - z * torch.sigmoid(z)


def _mish(z: Tensor) -> Tensor:
    return -(z**2) * torch.sigmoid(z) * (1 - torch.tanh(torch.log1p(torch.exp(z))) ** 2)


def _hardswish(z: Tensor) -> Tensor:
    return torch.where(z.abs() < 3, -(z**2) / 6, 0)


def _hardsigmoid(z: Tensor) -> Tensor:
    # PyTorch's derivative is 1/6 rounded to float32, in float64 too.
    sixth = torch.tensor(1 / 6, dtype=torch.float32).double()
    return torch.where(z >= 3, 1.0, torch.where(z <= -3, 0.0, z / 6 + 0.5 - z * sixth))


def _tanh(z: Tensor) -> Tensor:
    return torch.tanh(z) - z * (1 - torch.tanh(z) ** 2)


def _sigmoid(z: Tensor) -> Tensor:
    return torch.sigmoid(z) * (1 - z * torch.sigmoid(-z))


def _glu(z: Tensor) -> Tensor:
    a, b = z[:, :2], z[:, 2:]
    return -a * b * torch.sigmoid(b) * torch.sigmoid(-b)


ACTIVATIONS = {
    "relu6": (nn.ReLU6(), lambda z: 6.0 * (z > 6)),
    "relu6 in place": (nn.ReLU6(inplace=True), lambda z: 6.0 * (z > 6)),
    "hardtanh": (nn.Hardtanh(-2, 1), lambda z: 1.0 * (z > 1) - 2.0 * (z < -2)),
    "hardswish": (nn.Hardswish(), _hardswish),
    "hardswish in place": (nn.Hardswish(inplace=True), _hardswish),
    "hardsigmoid": (nn.Hardsigmoid(), _hardsigmoid),
    "hardsigmoid in place": (nn.Hardsigmoid(inplace=True), _hardsigmoid),
    "gelu": (nn.GELU(), _gelu),
    "gelu functional": (F.gelu, _gelu),
    "gelu tanh": (nn.GELU(approximate="tanh"), _gelu_tanh),
    "silu": (nn.SiLU(), _silu),
    "silu in place": (nn.SiLU(inplace=True), _silu),
    "elu": (nn.ELU(1.5), lambda z: _elu(1.5, z)),
    "elu in place": (nn.ELU(inplace=True), lambda z: _elu(1.0, z)),
    "selu": (nn.SELU(), lambda z: 1.0507009873554805 * _elu(1.6732632423543772, z)),
    "celu": (nn.CELU(), lambda z: _elu(1.0, z)),
    "softplus": (nn.Softplus(threshold=100), _softplus),
    "softplus beta": (nn.Softplus(2, threshold=100), lambda z: _softplus(2 * z) / 2),
    "mish": (nn.Mish(), _mish),
    "mish in place": (nn.Mish(inplace=True), _mish),
    "tanh": (nn.Tanh(), _tanh),
    "tanh in place": (torch.tanh_, _tanh),
    "sigmoid": (nn.Sigmoid(), _sigmoid),
    "logsigmoid": (nn.LogSigmoid(), lambda z: -_softplus(-z)),
    "softsign": (nn.Softsign(), lambda z: z * z.abs() / (1 + z.abs()) ** 2),
    "softshrink": (nn.Softshrink(0.5), lambda z: torch.where(z.abs() > 0.5, -z.sign() / 2, 0)),
    "threshold": (nn.Threshold(0.5, 7.0), lambda z: 7.0 * (z <= 0.5)),
    "glu": (nn.GLU(1), _glu),
    "exp": (torch.exp, lambda z: torch.exp(z) * (1 - z)),
    "square": (torch.square, lambda z: -(z**2)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bias_gradient_of_an_activation_is_its_closed_form(name: str) -> None:
    activation, bias = ACTIVATIONS[name]
    x = SPREAD * images()
    net = Around(activation, x)
    fg = assert_around_exact(net, x)
    with torch.no_grad():
        expected = net.gradient_at_middle(x) * bias(net.stem(x))
    assert expected.abs().max() > 0.02, "vacuous"
    torch.testing.assert_close(inside_middle(fg), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.ReLU(inplace=True), nn.LeakyReLU(0.2), nn.PReLU(), nn.PReLU(4), nn.RReLU()],
    ids=repr,
)
def test_a_rectifier_through_the_origin_has_no_bias(activation: nn.Module) -> None:
    x = images()
    fg = assert_around_exact(Around(activation, x), x)
    assert set(fg.sites) == {"stem", "head"}


def test_a_gate_has_the_sigmoids_bias_and_minus_the_product() -> None:
    """y = a·σ(b) has b_mul = −y, and σ(b) its own bias, weighted by a·g."""
    x = images()
    net = Around(lambda z: z[:, :2] * torch.sigmoid(z[:, 2:]), x)
    fg = assert_around_exact(net, x)
    with torch.no_grad():
        g, z = net.gradient_at_middle(x), net.stem(x)
        a, b = z[:, :2], z[:, 2:]
        product, sigmoid = -g * a * torch.sigmoid(b), g * a * _sigmoid(b)
    found = fg.bias_gradients
    torch.testing.assert_close(found["middle.mul"].values, product, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found["middle.sigmoid"].values, sigmoid, rtol=1e-10, atol=1e-12)
    assert (found["middle.mul"].kind, found["middle.sigmoid"].kind) == ("product", "nonlinearity")


@pytest.mark.parametrize("log", [False, True])
def test_softmax_heads_are_exact(log: bool) -> None:
    """Softmax: b = p − p⊙(s − ⟨p,s⟩); log-softmax: b = −log Σ eˢ + ⟨p,s⟩, at the chosen class."""
    x = images()
    head = nn.LogSoftmax(1) if log else nn.Softmax(1)
    net = nn.Sequential(Around(nn.GELU(), x), head).eval()
    fg = assert_exact(net, x)
    with torch.no_grad():
        s = net[0](x)
        p, top = s.softmax(1), s.argmax(1, keepdim=True)
        mean = (p * s).sum(1, keepdim=True)
        bias = mean - s.logsumexp(1, keepdim=True) if log else p - p * (s - mean)
    expected = bias[:, 0] if log else bias.gather(1, top)[:, 0]
    torch.testing.assert_close(fg.bias_terms["1"], expected, rtol=1e-10, atol=1e-12)
    assert fg.sites["1"].kind == "nonlinearity"
