"""Biases b = y − J·x in closed form, of the non-linearities that take most of the time.

Each equals the numerical ``implicit_bias``, in a third of its time or less.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.operations.op_call import OpCall

Bias = Callable[[OpCall, int], Tensor]  # (frozen call, number of the output) -> b
FindClosedForm = Callable[[OpCall], Bias | None]  # None where the options of a call allow none


def silu(call: OpCall) -> Bias | None:
    return _silu if call.active == (0,) else None


def hardswish(call: OpCall) -> Bias | None:
    return _hardswish if call.active == (0,) else None


def gelu(call: OpCall) -> Bias | None:
    is_exact = call.argument(1, "approximate", "none") == "none"
    return _gelu if is_exact and call.active == (0,) else None


def layer_norm(call: OpCall) -> Bias | None:
    is_full_precision = call.leaves[0].dtype in (torch.float32, torch.float64)
    return _layer_norm if is_full_precision and call.active == (0,) else None


def attention(call: OpCall) -> Bias | None:
    """Of ``scaled_dot_product_attention`` without mask, dropout and grouped queries."""
    options = ((4, "dropout_p"), (5, "is_causal"), (7, "enable_gqa"))
    if call.argument(3, "attn_mask") is not None or any(call.argument(*o) for o in options):
        return None
    operands = [call.argument(i, name) for i, name in enumerate(("query", "key", "value"))]
    all_active = len(call.active) == 3 and all(map(call.is_active, operands))
    return _attention if all_active else None


def _silu(call: OpCall, _output: int) -> Tensor:
    x = call.leaves[0]
    gate = torch.sigmoid(x)
    return gate.addcmul(gate, gate, value=-1).mul_(x).mul_(x).neg_()  # −x²σ(1 − σ)


def _gelu(call: OpCall, _output: int) -> Tensor:
    square = torch.square(call.leaves[0])  # −x²φ(x), φ the density of the normal distribution
    return square.mul(-0.5).exp_().mul_(square).mul_(-1 / math.sqrt(2 * math.pi))


def _hardswish(call: OpCall, _output: int) -> Tensor:
    x: Tensor = call.leaves[0]
    return torch.square(x).mul_(-1 / 6).mul_(x.abs() < 3)


def _layer_norm(call: OpCall, _output: int) -> Tensor:
    # x̂ = (x − μ)·r with r² = 1/(v + ε); J·x = γx̂·εr², since v is of degree two in x.
    x, beta = call.leaves[0], call.argument(3, "bias")
    shape, gamma = call.argument(1, "normalized_shape"), call.argument(2, "weight")
    eps = call.argument(4, "eps", 1e-5)
    y, _, r = torch.native_layer_norm(x, shape, gamma, beta, eps)
    rest = r.square().mul_(eps)
    return torch.lerp(y, y.new_zeros(()) if beta is None else beta.to(y), rest)


def _attention(call: OpCall, _output: int) -> Tensor:
    # y = A·v, A = softmax(S). The scores S are of degree two in (q, k): J·x = y + dA·v with
    # dA = 2A⊙(S − Σ A⊙S), and so b = −dA·v.
    q, k, v = (call.argument(i, name) for i, name in enumerate(("query", "key", "value")))
    scale = call.argument(6, "scale")
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = (q * scale) @ k.mT
    weights = torch.softmax(scores, -1)
    mean = (weights * scores).sum(-1, keepdim=True)
    minus_change = scores.sub_(mean).mul_(weights).mul_(-2)
    b: Tensor = minus_change @ v
    return b
