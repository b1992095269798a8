"""Regressions, and unusual things that users do."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import images, redraw

N, C = 3, 6


@torch.jit.script
def scripted(x: Tensor) -> Tensor:
    return x[:, :3] * x[:, 3:]


def unseen(x: Tensor) -> Tensor:
    with torch._C.DisableTorchFunction():
        return x[:, :3].sigmoid() * x[:, 3:]


def mapped(x: Tensor) -> Tensor:
    return torch.func.vmap(lambda row: (row.sin() * row.sum())[:3] * row[0])(x)


def per_sample_gradient(x: Tensor) -> Tensor:
    return torch.func.vmap(torch.func.grad(lambda row: row.sin().prod()))(x)


def forces(x: Tensor) -> Tensor:
    y = x
    for _ in range(14):  # each value with two consumers: paths double at every step
        y = y + F.silu(y) * 0.1
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0] + x


def written_by_out(x: Tensor) -> Tensor:
    b = torch.ones(C, dtype=x.dtype)
    y = x + b
    torch.mul(b, 3.0, out=b)
    return y * b


def written_by_foreach(x: Tensor) -> Tensor:
    a, b = torch.ones(C, dtype=x.dtype), torch.ones(C, dtype=x.dtype)
    y = x + b
    torch._foreach_mul_([a, b], 3.0)
    return y * a


def written_into_parts_of_a_complex(x: Tensor) -> Tensor:
    z = torch.complex(torch.ones_like(x), torch.full_like(x, 2.0))
    z.real = x.exp()
    z.imag += 1
    return (z * z).abs()


def experts(x: Tensor) -> Tensor:
    rows = [row[row > 0].exp().sum() * row.sum() for row in x]
    return torch.stack(rows)[:, None].sigmoid() * x


CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "a scripted function with views": scripted,
    "operations hidden from modes": unseen,
    "vmap": mapped,
    "vmap of grad": per_sample_gradient,
    "a gradient inside the model": forces,
    "normal around an activation": lambda x: torch.normal(x, 1.0) * x.sigmoid(),
    "overwritten by random numbers": lambda x: x.sigmoid() * (x * 1).uniform_(),
    "dropout that is always on": lambda x: F.dropout(x.tanh(), 0.5, training=True),
    "attention dropout that is always on": lambda x: F.scaled_dot_product_attention(
        x[:, None, :, None], x.tanh()[:, None, :, None], x[:, None, :, None], dropout_p=0.3
    )[:, 0, :, 0],
    "a constant written to by out=": written_by_out,
    "a constant written to by foreach": written_by_foreach,
    "parts of a complex value": written_into_parts_of_a_complex,
    "a sparse constant": lambda x: torch.sparse.mm(torch.eye(C).to(x).to_sparse(), x.t()).exp().t(),
    "instance norm and an in-place ReLU": lambda x: F.leaky_relu(
        F.instance_norm(x.view(-1, 2, 3), bias=x.new_tensor([1.0, -2])), inplace=True
    ).flatten(1),
    "flip by varargs": lambda x: x.flip(1, 0).exp().flip(0),
    "distances to as many prototypes as samples": lambda x: torch.cdist(
        torch.linspace(-1, 1, N * C).double().reshape(N, C), x
    ).t(),
    "ragged values": experts,
    "a derivative that is zero everywhere": lambda x: x.norm(p=0, dim=1, keepdim=True) + 0 * x,
    "stack beside the samples": lambda x: torch.stack([x, x.exp(), x.tanh()], 1).sigmoid().sum(1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_exact_in_a_batch_and_alone(name: str) -> None:
    torch.manual_seed(0)
    first, last = redraw(nn.Linear(C, C)), CASES[name]
    x = images(N, C)

    def net(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return last(first(x)) ** 2

    fg = fgl.full_gradients(net, x, 0)
    assert fg.relative_residual.max() <= 1e-12
    if not any(word in name for word in ("random", "normal", "dropout")):
        for i in range(N):
            alone = fgl.full_gradients(net, x[i : i + 1], 0)
            assert alone.relative_residual <= 1e-12
            total = alone.input_term.abs() + sum(t.abs() for t in alone.bias_terms.values())
            for site, term in alone.bias_terms.items():
                assert (fg.bias_terms[site][i] - term).abs() <= 1e-10 * total, site


class Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.t().contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.t()


def test_a_custom_function_that_transposes_a_square() -> None:
    fg = fgl.full_gradients(lambda x: Transposed.apply(x.exp()).sigmoid().t(), images(4, 4), 1)
    assert fg.relative_residual.max() <= 1e-12


def test_a_second_run_starts_where_the_first_did() -> None:
    """Custom functions need a second forward pass: buffers and random numbers must not advance."""

    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return Identity.apply(x) * self.calls * torch.rand(1, dtype=torch.float64)

    net, x = Counts(), images(N, C)
    torch.manual_seed(5)
    output = fgl.full_gradients(net, x, 0).output
    torch.manual_seed(5)
    torch.testing.assert_close(output, net(x)[:, 0])


def test_a_model_that_takes_a_step_before_it_answers() -> None:
    class Adapts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(C, C)

        def forward(self, x: Tensor) -> Tensor:
            loss = self.layer(x).square().mean()
            (step,) = torch.autograd.grad(loss, self.layer.weight, create_graph=True)
            return F.linear(x, self.layer.weight - 0.1 * step, self.layer.bias).tanh()

    net = redraw(Adapts())
    fg = fgl.full_gradients(net, images(1, C), 0)
    assert fg.relative_residual <= 1e-12
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_buffers_are_restored_however_they_were_written() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("data_", torch.ones(3))
            self.register_buffer("array", torch.ones(3))
            self.register_buffer("empty", None)
            self.register_buffer("size", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            self.data_.data.mul_(0.9)
            self.array.numpy()[:] = 7
            self.empty = torch.ones(2)
            self.size.resize_(5)
            self.register_buffer("new", torch.ones(1), persistent=True)
            return x.exp()

    net = Writes()
    buffers = dict(net._buffers)
    fgl.attribution_budget(net, images(2, C), 0)
    assert list(net._buffers) == list(buffers)
    assert all(net._buffers[name] is buffer for name, buffer in buffers.items())
    for name in ("data_", "array", "size"):
        assert torch.equal(net._buffers[name], torch.ones(3)), name
    assert net.empty is None


def test_a_bound_method_and_a_function_leave_no_trace_either() -> None:
    net = redraw(nn.Sequential(nn.Linear(C, C), nn.BatchNorm1d(C), nn.Dropout())).train()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    expected = fgl.attribution_budget(net, images(N, C), 0).output
    state = torch.get_rng_state()
    assert torch.equal(fgl.attribution_budget(net.forward, images(N, C), 0).output, expected)
    fgl.attribution_budget(lambda x: x + torch.rand(C), images(N, C), 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    assert net.training


def test_a_bound_method_has_the_sites_and_the_checks_of_its_module() -> None:
    net = redraw(nn.Sequential(nn.Linear(C, C), nn.Sequential(nn.SiLU(), nn.Linear(C, 2))))
    halved = MethodType(lambda net, x: net(x)[:, :1], net)
    expected = fgl.attribution_budget(net, images(N, C), 0)
    got = fgl.attribution_budget(halved, images(N, C), 0)
    assert list(got.bias_terms) == list(expected.bias_terms) == ["0", "1.0", "1.1"]
    for name, term in expected.bias_terms.items():
        assert torch.equal(got.bias_terms[name], term)
    lazy = nn.LazyLinear(2)
    with pytest.raises(ValueError, match="'weight' is not initialised"):
        fgl.attribution_budget(MethodType(lambda net, x: net(x), lazy), images(N, C), 0)


IMAGE = {  # maps that lie on the image, and what only looks so
    "enlarged by hand": (lambda x: F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), True),
    "rows cut into windows and back": (
        lambda x: x.reshape(2, 4, 2, 4, 2, 4).permute(0, 1, 2, 4, 3, 5).exp()
        .permute(0, 1, 2, 4, 3, 5).reshape(2, 4, 8, 8), True,
    ),
    "groups summed": (lambda x: x.view(2, 2, 2, 8, 8).exp().sum(1).repeat(1, 2, 1, 1), True),
    "a frame around it": (lambda x: F.pad(x, (0, 1, 0, 1)), True),
    "every other pixel": (lambda x: x[:, :, ::2, ::2], True),
    "channels last and back": (lambda x: x.permute(0, 2, 3, 1).exp().permute(0, 3, 1, 2), True),
    "transposed": (lambda x: x.transpose(2, 3), False),
    "rolled": (lambda x: torch.roll(x, (3, 3), (2, 3)), False),
    "cropped": (lambda x: x[:, :, 4:, 4:], False),
    "a spectrum": (lambda x: torch.fft.fft2(x).abs(), False),
    "attention scores": (
        lambda x: x.flatten(2)[..., None] @ x.flatten(2)[..., None, :], False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGE)
def test_spatial_is_followed(name: str) -> None:
    move, on_image = IMAGE[name]

    def mean(y: Tensor) -> Tensor:
        return y.mean((1, 2, 3))

    stem, conv = redraw(nn.Conv2d(3, 4, 3, padding=1)), redraw(nn.Conv2d(4, 4, 3, padding=1))
    fg = fgl.full_gradients(lambda x: conv(move(stem(x))), images(2, 3, 8, 8), mean)
    sites = [site for site in fg.sites.values() if site.op == "conv2d"]
    assert sites[0].spatial == "NCHW"
    assert sites[1].spatial == ("NCHW" if on_image else None)
