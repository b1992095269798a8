"""Reports of incomplete decompositions, with the operations that cause them."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.bias_gradients import Model, stream_bias_gradients
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.operations.bias_rules import Rule
from fullgrad_lightning.decomposition.operations.op_call import OpCall
from fullgrad_lightning.decomposition.operations.table import bias_rule
from fullgrad_lightning.decomposition.target import Target
from fullgrad_lightning.decomposition.tracing.pending_bias import (
    PendingBias,
    SampleAxisLost,
    inner_product,
)
from fullgrad_lightning.decomposition.tracing.sites import Site

# Rounding alone stays far below these; see docs/completeness.md.
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3}  # half precision: 0.1


class IncompleteDecomposition(UserWarning):
    """The terms of a decomposition do not add up to f(x): do not trust its maps."""


def report_incompleteness(
    relative_residual: Tensor,
    dtype: torch.dtype,
    model: Model,
    x: Tensor,
    target: Target,
    tolerance: float | None = None,
) -> None:
    """Warns of a residual above tolerance, with the names of the largest suspects."""
    tolerance = _TOLERANCE.get(dtype, 0.1) if tolerance is None else tolerance
    worst = float(relative_residual.max())
    if worst <= tolerance:
        return
    suspects = local_residuals(model, x, target)[:3]
    named = ", ".join(f"{site.name} ({site.op}, {residual:.1e})" for site, residual in suspects)
    warnings.warn(
        f"The decomposition is incomplete: relative residual {worst:.1e} in {dtype}, tolerance "
        f"{tolerance:.0e}. Operations whose backward pass disagrees with their forward pass, and "
        f"by how much of f: {named or 'none'}. Do the samples of a batch influence each other?",
        IncompleteDecomposition,
        stacklevel=3,
    )


def local_residuals(model: Model, x: Tensor, target: Target = None) -> list[tuple[Site, float]]:
    """The deviation of each operation from its own linearisation, largest first.

    Compares ⟨g, b⟩ of every operation, also of those that should have no bias, with what its own
    backward pass implies, ⟨g, y⟩ − Σ⟨J_iᵀg, x_i⟩.
    """
    audit = _Audit()
    with suppress(SampleAxisLost):  # the operations reached until then are still compared
        stream_bias_gradients(model, x, target, audit, rules=_rule_for_all, keep_all_values=True)
    suspects = [(site, residual) for site, residual in audit.residuals.items() if residual > 0]
    return sorted(suspects, key=lambda item: -item[1])


class _Audit(BiasGradientHandler):
    def __init__(self) -> None:
        self.residuals: dict[Site, float] = {}

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        bias = pending.bias(gradient).expand_as(gradient)
        claimed = inner_product(gradient, bias, pending.site.sample_axis)
        implied = pending.unlocalized_term(gradient)
        self.residuals[pending.site] = float((claimed - implied).abs().max())


def _rule_for_all(call: OpCall) -> Rule:
    rule = bias_rule(call)
    if rule is None:
        return Rule("constant", lambda _call, _output: torch.zeros(()), keeps="values")
    return replace(rule, keeps="values", finite=False, settled=False)
