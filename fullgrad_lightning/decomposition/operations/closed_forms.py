"""Biases b = y − J·x in closed form, for the non-linearities that networks spend their time in.

Each is what ``linearize`` finds numerically, in a third of its time or less.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.operations.op_call import OpCall

ClosedForm = Callable[[OpCall, int], Tensor]


def closed_form(call: OpCall) -> ClosedForm | None:
    """The closed form for a call, if there is one for its options."""
    if call.autocast[2]:  # operands are not what is computed with
        return None
    x = call.leaves[0]
    if call.op == "scaled_dot_product_attention":
        given = [call.argument(i, k) for i, k in ((3, "attn_mask"), (4, "dropout_p"))]
        options = [call.argument(i, k) for i, k in ((5, "is_causal"), (7, "enable_gqa"))]
        return None if any(given[1:] + options) or given[0] is not None else _attention(call)
    if call.active != (0,):  # of these, the first operand alone is an activation
        return None
    if call.op == "gelu":
        return _gelu if call.argument(1, "approximate", "none") == "none" else None
    if call.op == "layer_norm" and x.dtype in (torch.float32, torch.float64):
        return _layer_norm
    return _OF_X.get(call.op)


def saves_operand(call: OpCall) -> bool:
    """Whether autograd itself keeps what the call overwrites: no need for another copy."""
    if not call.in_place or call.op not in ("silu", "hardswish") or call.active != (0,):
        return False
    # Under hooks on saved tensors (checkpointing), to look at one is to compute it again.
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(False)
    return hooks is None and call.leaves[0]._base is None


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


def _attention(call: OpCall) -> ClosedForm | None:
    q, k, v = (call.argument(i, name) for i, name in enumerate(("query", "key", "value")))
    if not all(call.is_active(operand) for operand in (q, k, v)) or len(call.active) != 3:
        return None

    def bias(call: OpCall, _output: int) -> Tensor:
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

    return bias


_OF_X: dict[str, ClosedForm] = {"silu": _silu, "hardswish": _hardswish}
