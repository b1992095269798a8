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


def is_exact_gelu(call: OpCall) -> bool:
    return call.is_unary() and call.argument(1, "approximate", "none") == "none"


def is_full_precision(call: OpCall) -> bool:
    return call.is_unary() and call.leaves[0].dtype in (torch.float32, torch.float64)


def is_plain_attention(call: OpCall) -> bool:
    """True for attention to activations, without mask, dropout and grouped queries."""
    options = ((4, "dropout_p"), (5, "is_causal"), (7, "enable_gqa"))
    if call.argument(3, "attn_mask") is not None or any(call.argument(*o) for o in options):
        return False
    operands = [call.argument(i, name) for i, name in enumerate(("query", "key", "value"))]
    return len(call.active) == 3 and all(map(call.is_active, operands))


def silu(call: OpCall, _output: int) -> Tensor:
    x = call.leaves[0]
    gate = torch.sigmoid(x)
    return gate.addcmul(gate, gate, value=-1).mul_(x).mul_(x).neg_()  # −x²σ(1 − σ)


def gelu(call: OpCall, _output: int) -> Tensor:
    square = torch.square(call.leaves[0])  # −x²φ(x), φ the density of the normal distribution
    return square.mul(-0.5).exp_().mul_(square).mul_(-1 / math.sqrt(2 * math.pi))


def hardswish(call: OpCall, _output: int) -> Tensor:
    x: Tensor = call.leaves[0]
    return torch.square(x).mul_(-1 / 6).mul_(x.abs() < 3)


def layer_norm(call: OpCall, _output: int) -> Tensor:
    # x̂ = (x − μ)·r with r² = 1/(v + ε); J·x = γx̂·εr², since v is of degree two in x.
    x, beta = call.leaves[0], call.argument(3, "bias")
    shape, gamma = call.argument(1, "normalized_shape"), call.argument(2, "weight")
    eps = call.argument(4, "eps", 1e-5)
    y, _, r = torch.native_layer_norm(x, shape, gamma, beta, eps)
    rest = r.square().mul_(eps)
    return torch.lerp(y, y.new_zeros(()) if beta is None else beta.to(y), rest)


def attention(call: OpCall, _output: int) -> Tensor:
    # y = A·v, A = softmax(S). The scores S are of degree two in (q, k): J·x = y + dA·v with
    # dA = 2A⊙(S − Σ A⊙S), and so b = −dA·v.
    q, k, v = (call.argument(i, name) for i, name in enumerate(("query", "key", "value")))
    scale = call.argument(6, "scale")
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = (q * scale) @ k.mT
    weights = torch.softmax(scores, -1)
    mean = (weights * scores).sum(-1, keepdim=True)
    b: Tensor = scores.sub_(mean).mul_(weights).mul_(-2) @ v
    return b
