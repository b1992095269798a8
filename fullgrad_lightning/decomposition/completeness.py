"""Names the operations that break completeness, where the decomposition is not exact."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.bias_gradients import Model, stream_bias_gradients
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.operations.bias_rules import Rule, bias_rule
from fullgrad_lightning.decomposition.operations.op_call import OpCall
from fullgrad_lightning.decomposition.target import Target
from fullgrad_lightning.decomposition.tracing.pending_bias import (
    PendingBias,
    SampleAxisLost,
    inner_product,
)
from fullgrad_lightning.decomposition.tracing.sites import Site

# Rounding alone stays far below these; see docs/completeness.md.
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3}
_TOLERANCE_OF_HALF = 0.1


class IncompleteDecomposition(UserWarning):
    """The terms of a decomposition do not add up to f(x): its maps are not to be trusted."""


def default_tolerance(dtype: torch.dtype) -> float:
    """The relative residual above which a decomposition in ``dtype`` is reported."""
    return _TOLERANCE.get(dtype, _TOLERANCE_OF_HALF)


def report_incompleteness(
    relative_residual: Tensor,
    dtype: torch.dtype,
    model: Model,
    x: Tensor,
    target: Target,
    tolerance: float | None = None,
) -> None:
    """Warns of a residual above tolerance, with the names of the largest suspects."""
    tolerance = default_tolerance(dtype) if tolerance is None else tolerance
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
    """How far each operation is from its own linearisation, largest first.

    Compares ⟨g, b⟩ of every operation, also of those that should have no bias, with what its own
    backward pass implies, ⟨g, y⟩ − Σ⟨J_iᵀg, x_i⟩.
    """
    consumer = _Audit()
    with suppress(SampleAxisLost):  # what was reached so far is still told
        stream_bias_gradients(model, x, target, consumer, rules=_rule_for_all, keep_all_values=True)
    found = [(site, residual) for site, residual in consumer.residuals.items() if residual > 0]
    return sorted(found, key=lambda item: -item[1])


class _Audit(BiasGradientHandler):
    def __init__(self) -> None:
        self.residuals: dict[Site, float] = {}

    def receive(self, record: PendingBias, gradient: Tensor) -> None:
        bias = record.bias(gradient).expand_as(gradient)
        claimed = inner_product(gradient, bias, record.site.sample_axis)
        implied = record.unlocalized_term(gradient)
        self.residuals[record.site] = float((claimed - implied).abs().max())


def _rule_for_all(call: OpCall) -> Rule:
    rule = bias_rule(call)
    if rule is None:
        return Rule("constant", lambda frozen, _output: torch.zeros(()), keeps="values")
    return replace(rule, keeps="values", finite=False, settled=False)
