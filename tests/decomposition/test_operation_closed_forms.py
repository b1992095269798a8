"""The closed forms of single operations against forward-mode differentiation, in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import fullgrad_lightning as fgl
from fullgrad_lightning.decomposition.operations.call_recording import record_call
from fullgrad_lightning.decomposition.operations.linearization import implicit_bias
from fullgrad_lightning.decomposition.operations.table import bias_rule
from tests.decomposition.redrawn import images


def biases(op: Callable[..., Tensor], *operands: Tensor) -> tuple[Tensor, Tensor]:
    """b = y − J·x of a function of activations: by the package, and by torch.func.jvp."""
    widths = [operand[0].numel() for operand in operands]
    x = torch.cat([operand.flatten(1) for operand in operands], 1)

    def split(x: Tensor) -> list[Tensor]:
        parts = x.split(widths, 1)
        return [part.reshape(o.shape) for part, o in zip(parts, operands, strict=True)]

    weights = None

    def target(y: Tensor) -> Tensor:
        nonlocal weights
        weights = torch.linspace(-1, 1, y[0].numel(), dtype=y.dtype).view(y.shape[1:])
        return (y * weights).flatten(1).sum(1)

    found = fgl.full_gradients(lambda x: op(*split(x)), x, target).bias_gradients
    y, jvp = torch.func.jvp(op, operands, operands)
    own = [b.values for name, b in found.items() if not name.startswith("target")]
    return sum(own, start=torch.zeros_like(y)), (y - jvp) * weights


def normal(*shape: int) -> Tensor:
    return images(*shape, seed=3) * 4


WEIGHT = images(5, 6, seed=4)
CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardswish": F.hardswish,
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 2.0),
    "layer_norm": lambda x: F.layer_norm(x, (6,), torch.arange(6.0).double(), eps=0.5),
    "layer_norm, bias": lambda x: F.layer_norm(x, (5, 6), WEIGHT, WEIGHT.flip(0)),
}


@pytest.mark.parametrize("name", CASES)
def test_of_one_operand(name: str) -> None:
    found, expected = biases(CASES[name], normal(3, 5, 6))
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["silu", "hardswish", "relu6", "hardtanh"])
def test_in_place(name: str) -> None:
    op = getattr(F, name)

    def in_place(x: Tensor) -> Tensor:
        return op(x * 1, inplace=True) * 2  # what was overwritten is still needed

    found, expected = biases(in_place, normal(3, 5, 6))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention(scale: float | None) -> None:
    q, k, v = (images(2, 3, 5, 4, seed=s) for s in (1, 2, 3))
    # Of its kernels, forward mode knows the plain one alone.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        found, expected = biases(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=scale), q, k, v
        )
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_options_without_a_closed_form_have_none() -> None:
    q = images(2, 3, 5, 4).requires_grad_()
    mask = torch.ones(5, 5, dtype=torch.bool)

    def has_form(func: Callable[..., Tensor], *args: object, **kwargs: object) -> bool:
        rule = bias_rule(record_call(func, args, kwargs, lambda _: True))
        assert rule is not None
        return rule.bias is not implicit_bias

    attention = F.scaled_dot_product_attention
    assert has_form(attention, q, q, q)
    assert not has_form(attention, q, q, q, is_causal=True)
    assert not has_form(attention, q, q, q, attn_mask=mask)
    assert not has_form(attention, q, q.detach(), q)
    assert not has_form(F.gelu, q, approximate="tanh")
