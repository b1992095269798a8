"""Bias rules: the bias that an operation adds to the decomposition.

Linearise y = op(x₁…x_k) at its activations: y = Σ J_i x_i + b. Four facts cover nearly everything:

* Convolutions, linear maps and batch norm in eval mode have their b in closed form.
* An operation that is affine in its activations has b = op(0).
* By Euler's theorem, an operation that is positively homogeneous of degree k in its activations
  has Σ J_i x_i = k·y, so b = (1 − k)·y: nothing at all for degree 1 (ReLU, pooling, views), −y for
  a product of two activations.
* Everything else is linearised numerically, if it has no closed form of its own.

Which operation follows which rule is in ``table``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.decomposition.operations.closed_forms import Bias, FindClosedForm
from fullgrad_lightning.decomposition.operations.linearization import implicit_bias
from fullgrad_lightning.decomposition.operations.op_call import OpCall, find_tensors

Kind = Literal["parameter", "normalization", "nonlinearity", "product", "constant", "not_localized"]


@dataclass(frozen=True)
class Rule:
    """The bias of one call.

    Attributes:
        kind: The kind of site.
        bias: ``(frozen call, number of the output) -> b``, broadcastable to that output.
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
    """Rule of operations that are positively homogeneous, jointly in all activations.

    Attributes:
        degree: ``call -> k``; ``None`` where the call is not homogeneous, and is linearised.
        kind: The kind of sites.
    """

    degree: Callable[[OpCall], float | None]
    kind: Kind = "nonlinearity"

    def __call__(self, call: OpCall) -> Rule | None:
        degree = self.degree(call)
        if degree is None:
            return Rule(self.kind, implicit_bias, keeps="values")
        return None if degree == 1 else Rule(self.kind, _scaled_output(1 - degree), keeps="values")


@dataclass(frozen=True)
class Affine:
    """Rule of operations that are affine in their activations.

    Attributes:
        is_linear: Whether no constant is added in this call.
    """

    is_linear: Callable[[OpCall], bool] = lambda _call: False

    def __call__(self, call: OpCall) -> Rule | None:
        return None if self.is_linear(call) else Rule("constant", _output_at_zero)


@dataclass(frozen=True)
class Linearized:
    """Rule of all other operations: a closed form, if there is one, or numerical linearisation.

    Attributes:
        kind: The kind of sites.
        closed_form: ``call -> closed form``, or ``None`` where its options allow none.
    """

    kind: Kind = "nonlinearity"
    closed_form: FindClosedForm = lambda _call: None

    def __call__(self, call: OpCall) -> Rule:
        under_autocast = call.autocast[2]  # the operands are not what is computed with
        bias = None if under_autocast else self.closed_form(call)
        return Rule(self.kind, bias or implicit_bias, keeps="values", finite=bias is not None)


def convolution(call: OpCall) -> Rule | None:
    x, weight, bias = (call.argument(i, k) for i, k in enumerate(("input", "weight", "bias")))
    factors = call.is_active(x) + call.is_active(weight)
    if factors != 1:
        if factors == 2 and bias is None:
            return Rule("product", _scaled_output(-1), keeps="values")
        return Rule("product", implicit_bias, keeps="values")
    if bias is None or call.is_active(bias):
        return None
    spatial = weight.ndim - 2
    b = bias.detach().clone().reshape(-1, *[1] * spatial)  # may be overwritten afterwards
    return Rule("parameter", lambda _call, _output: b, finite=True, settled=True)


def batch_norm(call: OpCall) -> Rule:
    x, gamma, beta, mean, variance = (
        call.argument(i, k)
        for i, k in enumerate(("input", "weight", "bias", "running_mean", "running_var"))
    )
    training = call.argument(5, "training")
    if training or any(call.is_active(constant) for constant in (gamma, beta, mean, variance)):
        return Rule("normalization", implicit_bias, keeps="values")
    # It is affine in eval mode, so that b = op(0): one call, cheaper than its formula.
    zero = mean.detach().new_zeros(1, mean.numel())
    with torch.no_grad():
        b = F.batch_norm(zero, mean, variance, gamma, beta, eps=call.argument(7, "eps"))
    b = b.reshape(-1, *[1] * (x.ndim - 2))
    return Rule("normalization", lambda _call, _output: b, finite=True, settled=True)


def clamp(call: OpCall) -> Rule:
    """Rule of ``relu6`` and ``hardtanh``: the bound itself, where it is reached."""
    if call.active != (0,):
        return Rule("nonlinearity", implicit_bias, keeps="values")
    return Rule("nonlinearity", _clamped, keeps="either", finite=True)


# Degrees of homogeneity, for ``Homogeneous``.


def degree_alone(degree: float) -> Callable[[OpCall], float | None]:
    """A degree in the first operand alone: no other (a slope, a grid) may be an activation."""
    return lambda call: degree if call.active == (0,) else None


def degree_jointly(call: OpCall) -> float | None:
    """Degree 1 in all operands together, if none of them is constant."""
    return 1 if all_operands_active(call) else None


def num_activations(call: OpCall) -> float:
    """The degree of a product."""
    return len(call.active)


def degree_of_quotient(call: OpCall) -> float | None:
    if call.argument(2, "rounding_mode") is not None:
        return None
    numerator, denominator = (call.argument(i, k) for i, k in enumerate(("input", "other")))
    return call.is_active(numerator) - call.is_active(denominator)


def degree_of_power(call: OpCall) -> float | None:
    exponent = call.argument(1, "exponent")
    is_constant = isinstance(exponent, (int, float)) and call.active == (0,)
    return float(exponent) if is_constant else None


def degree_of_extremum(call: OpCall) -> float | None:
    """Of ``max`` and ``min``: reductions, but ``maximum``, ``minimum`` with a second tensor."""
    is_elementwise = isinstance(call.argument(1, "other"), Tensor)
    return 1 if not is_elementwise or len(call.active) == 2 else None


def degree_of_norm(call: OpCall) -> float | None:
    if call.active != (0,):
        return None
    return 0 if call.argument(1, "ord", 2) == 0 else 1  # the number of entries that are not 0


# Conditions under which an affine operation is linear, for ``Affine``.


def two_operands_active(call: OpCall) -> bool:
    return len(call.active) == 2


def all_operands_active(call: OpCall) -> bool:
    return len(call.active) == sum(isinstance(leaf, Tensor) for leaf in call.leaves)


def pads_with_zero(call: OpCall) -> bool:
    return call.argument(2, "mode", "constant") != "constant" or not call.argument(3, "value")


def replaces_by_zero(call: OpCall) -> bool:
    """Of ``masked_fill`` and ``setitem`` on an activation: by 0, or by another activation."""
    value = call.argument(2, "value")
    is_zero = isinstance(value, (int, float)) and value == 0
    return call.is_active(call.leaves[0]) and (is_zero or call.is_active(value))


def overwrites_all(call: OpCall) -> bool:
    """Of ``copy``: an activation takes the place of everything."""
    return call.is_active(call.argument(1, "src"))


def _scaled_output(factor: float) -> Bias:
    def bias(call: OpCall, output: int) -> Tensor:
        with torch.no_grad():
            y = find_tensors(call.replay(call.activations))[output]
        return factor * y

    return bias


def _output_at_zero(call: OpCall, output: int) -> Tensor:
    zeros = [
        torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device)
        for leaf in (call.leaves[i] for i in call.active)
    ]
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
