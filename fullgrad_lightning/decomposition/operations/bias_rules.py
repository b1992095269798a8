"""Bias rules: the bias that an operation adds to the decomposition.

Linearise y = op(x₁…x_k) at its activations: y = Σ J_i x_i + b. Four facts cover nearly everything:

* Convolutions, linear maps and batch norm in eval mode have their b in closed form.
* An operation that is affine in its activations has b = op(0).
* By Euler's theorem, an operation that is positively homogeneous of degree k in its activations
  has Σ J_i x_i = k·y, so b = (1 − k)·y: nothing at all for degree 1 (ReLU, pooling, views), −y for
  a product of two activations.
* Everything else is linearised numerically, if it has no closed form of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.decomposition.operations.closed_forms import Bias
from fullgrad_lightning.decomposition.operations.linearization import implicit_bias
from fullgrad_lightning.decomposition.operations.op_call import OpCall, find_tensors

Kind = Literal["parameter", "normalization", "nonlinearity", "product", "constant", "not_localized"]


@dataclass(frozen=True)
class Rule:
    """The bias of one call.

    Attributes:
        kind: The kind of site.
        bias: Computes b, broadcastable to the output.
        keeps: What the frozen call must hold: the values of its activations, or their shapes. With
            ``"either"``, the result will do for an operand that it overwrites.
        finite: Whether b is finite wherever parameters are (else 0·∞ is taken as 0).
        settled: Whether b was computed eagerly and no longer depends on the operands.
    """

    kind: Kind
    bias: Bias
    keeps: Literal["values", "shapes", "either"] = "shapes"
    finite: bool = False
    settled: bool = False


Rules = Callable[[OpCall], Rule | None]


@dataclass(frozen=True)
class Homogeneous:
    """Operations that are positively homogeneous of a degree k, jointly in all activations.

    Calls whose degree is ``None`` are not homogeneous, and are linearised.
    """

    degree: Callable[[OpCall], float | None]
    kind: Kind = "nonlinearity"

    def __call__(self, call: OpCall) -> Rule | None:
        degree = self.degree(call)
        if degree is None:
            return _linearized(self.kind)
        return None if degree == 1 else _scaled_output(self.kind, 1 - degree)


@dataclass(frozen=True)
class Affine:
    """Operations that are affine in their activations, and linear where no constant is added."""

    is_linear: Callable[[OpCall], bool] = lambda _call: False

    def __call__(self, call: OpCall) -> Rule | None:
        return None if self.is_linear(call) else Rule("constant", _output_at_zero)


@dataclass(frozen=True)
class Linearized:
    """All other operations: a closed form where ``applies`` allows it, or ``implicit_bias``."""

    closed_form: Bias | None = None
    applies: Callable[[OpCall], bool] = OpCall.is_unary
    kind: Kind = "nonlinearity"

    def __call__(self, call: OpCall) -> Rule:
        under_autocast = call.autocast[2]  # the operands are not what is computed with
        if self.closed_form is None or under_autocast or not self.applies(call):
            return _linearized(self.kind)
        return Rule(self.kind, self.closed_form, keeps="values", finite=True)


def convolution(call: OpCall) -> Rule | None:
    x, weight, bias = (call.argument(i, k) for i, k in enumerate(("input", "weight", "bias")))
    factors = call.is_active(x) + call.is_active(weight)
    if factors != 1:
        is_product = factors == 2 and bias is None
        return _scaled_output("product", -1) if is_product else _linearized("product")
    if bias is None or call.is_active(bias):
        return None
    b = bias.detach().clone()  # may be overwritten afterwards
    return _settled("parameter", b, weight.ndim - 2)


def batch_norm(call: OpCall) -> Rule:
    x, gamma, beta, mean, variance = (
        call.argument(i, k)
        for i, k in enumerate(("input", "weight", "bias", "running_mean", "running_var"))
    )
    if call.argument(5, "training") or any(map(call.is_active, (gamma, beta, mean, variance))):
        return _linearized("normalization")
    # It is affine in eval mode, so that b = op(0): one call, cheaper than its formula.
    zero = mean.detach().new_zeros(1, mean.numel())
    with torch.no_grad():
        b = F.batch_norm(zero, mean, variance, gamma, beta, eps=call.argument(7, "eps"))
    return _settled("normalization", b, x.ndim - 2)


def clamp(call: OpCall) -> Rule:
    """Rule of ``relu6`` and ``hardtanh``: the bound itself, where it is reached."""
    if not call.is_unary():
        return _linearized("nonlinearity")
    return Rule("nonlinearity", _clamped, keeps="either", finite=True)


# Degrees of homogeneity, for ``Homogeneous``.


def degree_alone(degree: float) -> Callable[[OpCall], float | None]:
    """A degree in the first operand alone: no other (a slope, a grid) may be an activation."""
    return lambda call: degree if call.is_unary() else None


def degree_of_quotient(call: OpCall) -> float | None:
    if call.argument(2, "rounding_mode") is not None:
        return None
    numerator, denominator = (call.argument(i, k) for i, k in enumerate(("input", "other")))
    return call.is_active(numerator) - call.is_active(denominator)


def degree_of_power(call: OpCall) -> float | None:
    exponent = call.argument(1, "exponent")
    is_constant = isinstance(exponent, (int, float)) and call.is_unary()
    return float(exponent) if is_constant else None


def degree_of_extremum(call: OpCall) -> float | None:
    """The degree of ``max`` and ``min``, which are ``maximum``, ``minimum`` of two tensors too."""
    is_elementwise = isinstance(call.argument(1, "other"), Tensor)
    return 1 if not is_elementwise or len(call.active) == 2 else None


def degree_of_norm(call: OpCall) -> float | None:
    degree = 0 if call.argument(1, "ord", 2) == 0 else 1  # ord 0 counts the entries that are not 0
    return degree if call.is_unary() else None


# Conditions under which an affine operation is linear, for ``Affine``.


def all_operands_active(call: OpCall) -> bool:
    return len(call.active) == sum(isinstance(leaf, Tensor) for leaf in call.leaves)


def pads_with_zero(call: OpCall) -> bool:
    return call.argument(2, "mode", "constant") != "constant" or not call.argument(3, "value")


def replaces_by_zero(call: OpCall) -> bool:
    """True if ``masked_fill`` or ``setitem`` puts 0 or an activation into an activation."""
    value = call.argument(2, "value")
    is_zero = isinstance(value, (int, float)) and value == 0
    return call.is_active(call.leaves[0]) and (is_zero or call.is_active(value))


def _linearized(kind: Kind) -> Rule:
    return Rule(kind, implicit_bias, keeps="values")


def _scaled_output(kind: Kind, factor: float) -> Rule:
    def bias(call: OpCall, output: int) -> Tensor:
        with torch.no_grad():
            return factor * find_tensors(call.replay(call.activations))[output]

    return Rule(kind, bias, keeps="values")


def _settled(kind: Kind, b: Tensor, spatial_dims: int) -> Rule:
    b = b.reshape(-1, *[1] * spatial_dims)
    return Rule(kind, lambda _call, _output: b, finite=True, settled=True)


def _output_at_zero(call: OpCall, output: int) -> Tensor:
    shapes = call.activations  # their values are not kept
    zeros = [torch.zeros(a.shape, dtype=a.dtype, device=a.device) for a in shapes]
    with torch.no_grad():
        return find_tensors(call.replay(zeros))[output]


def _clamped(call: OpCall, _output: int) -> Tensor:
    low, high = (
        (0.0, 6.0)
        if call.op == "relu6"
        else (call.argument(1, "min_val", -1.0), call.argument(2, "max_val", 1.0))
    )
    x: Tensor = call.leaves[0]
    b = (x >= high).to(x.dtype).mul_(high)  # the bound itself, where it holds
    return b.add_((x <= low).to(x.dtype), alpha=low) if low else b
