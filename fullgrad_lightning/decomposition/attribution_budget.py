"""The attribution budget: one number per site, and the completeness of the decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import input_axes
from fullgrad_lightning.decomposition.bias_gradients import (
    Model,
    PassResult,
    stream_bias_gradients,
    whole_or_one_by_one,
)
from fullgrad_lightning.decomposition.completeness import report_incompleteness
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.operations.bias_rules import Kind
from fullgrad_lightning.decomposition.target import Target
from fullgrad_lightning.decomposition.tracing.pending_bias import (
    PendingBias,
    inner_product,
    per_sample,
)
from fullgrad_lightning.decomposition.tracing.sites import Site


@dataclass(frozen=True, repr=False)
class AttributionBudget:
    """f(x) = ⟨∇ₓf, x⟩ + Σ f^b, summed to one number per site and sample (equation 1).

    Attributes:
        output: (N,) f(x), in the dtype of the model.
        input_term: (N,) ⟨∇ₓf, x⟩, float64.
        bias_terms: Site name -> (N,) ⟨∂f/∂y, b⟩, float64, in the order of execution.
        sites: Site name -> site, in the same order.
    """

    output: Tensor
    input_term: Tensor
    bias_terms: dict[str, Tensor]
    sites: dict[str, Site]

    @property
    def residual(self) -> Tensor:
        """(N,) f − input term − Σ bias terms: zero up to rounding."""
        return self.output.double() - self.input_term - sum(self.bias_terms.values())

    @property
    def relative_residual(self) -> Tensor:
        """(N,) |residual| / (|input term| + Σ|bias terms|); 0/0 = 0."""
        return _ratio(self.residual.abs(), self._total())

    @property
    def residual_over_output(self) -> Tensor:
        """(N,) |residual| / |f|: stricter where large terms cancel; 0/0 = 0."""
        return _ratio(self.residual.abs(), self.output.double().abs())

    def __repr__(self) -> str:
        """One line: there may be hundreds of sites."""
        residual = self.relative_residual.max().item() if len(self.output) else 0.0
        return (
            f"{type(self).__name__}({len(self.output)} samples, {len(self.sites)} sites, "
            f"relative residual up to {residual:.1e})"
        )

    def by_kind(self) -> dict[Kind, Tensor]:
        """Sum of the bias terms of each kind that occurs, (N,)."""
        sums: dict[Kind, Tensor] = {}
        for name, term in self.bias_terms.items():
            kind = self.sites[name].kind
            sums[kind] = sums[kind] + term if kind in sums else term
        return sums

    def share_by_kind(self) -> dict[str, Tensor]:
        """Share of |input term| + Σ|bias terms| that the ``input`` and each kind carry, (N,)."""
        shares = {"input": self.input_term.abs()}
        for name, term in self.bias_terms.items():
            kind = self.sites[name].kind
            shares[kind] = shares.get(kind, torch.zeros_like(term)) + term.abs()
        return {kind: _ratio(share, self._total()) for kind, share in shares.items()}

    def _total(self) -> Tensor:
        return self.input_term.abs() + sum(term.abs() for term in self.bias_terms.values())


def attribution_budget(
    model: Model, x: Tensor, target: Target = None, *, tolerance: float | None = None
) -> AttributionBudget:
    """Decomposes f(x) into the terms of the input and of every bias, one number per sample each.

    The numbers of ``full_gradients`` without its tensors: each bias-gradient is reduced as the
    backward pass reaches it, so memory stays near that of one gradient.

    Args:
        model: Any differentiable network, run in eval mode and left as it was.
        x: (N, C, H, W), or any floating-point tensor with a batch dimension.
        target: ``None`` (the top class of each sample), a class index, class indices (N,), or a
            callable ``output -> (N,)``.
        tolerance: The relative residual above which an ``IncompleteDecomposition`` warning names
            the suspects; default 1e-10 in float64, 1e-3 in float32, 0.1 in half precision.

    Raises:
        TypeError, ValueError: As ``full_gradients``.

    Examples:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> budget = attribution_budget(net.double(), torch.ones(5, 3, dtype=torch.float64))
        >>> list(budget.bias_terms), bool((budget.relative_residual < 1e-12).all())
        (['0', '2'], True)
    """
    budget = whole_or_one_by_one(_budget, join_budgets, model, x, target)
    dtype = budget.output.dtype
    report_incompleteness(budget.relative_residual, dtype, model, x, target, tolerance)
    return budget


class TermCollector(BiasGradientHandler):
    """Reduces each bias-gradient to ⟨∂f/∂y, b⟩, (N,) float64, in the order of the backward pass."""

    def __init__(self) -> None:
        self.terms: dict[Site, Tensor] = {}

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        values = pending.bias_gradient(gradient)
        self.add(pending.site, values, per_sample(values, pending.site.sample_axis))

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        self.add(site, term, term)

    def add(self, site: Site, values: Tensor, term: Tensor) -> None:
        """Stores the bias-gradient ``values`` of a site as their sum per sample, ``term``, (N,)."""
        self.terms[site] = term

    def budget(self, x: Tensor, result: PassResult) -> AttributionBudget:
        """The terms in the order of execution, completed by the output and the input term."""
        terms = sorted(self.terms.items(), key=lambda item: item[0].position)
        return AttributionBudget(
            result.output,
            inner_product(result.input_gradient, x.detach(), input_axes(x)["sample"]),
            {site.name: term for site, term in terms},
            {site.name: site for site, _ in terms},
        )


def join_budgets(budgets: Sequence[AttributionBudget]) -> AttributionBudget:
    """Budgets of single samples as one of the batch; a site that a sample lacks has term 0."""
    sites = {name: site for budget in budgets for name, site in budget.sites.items()}
    zero = torch.zeros_like(budgets[0].input_term)
    return AttributionBudget(
        torch.cat([budget.output for budget in budgets]),
        torch.cat([budget.input_term for budget in budgets]),
        {name: torch.cat([b.bias_terms.get(name, zero) for b in budgets]) for name in sites},
        sites,
    )


def _budget(model: Model, x: Tensor, target: Target) -> AttributionBudget:
    collector = TermCollector()
    return collector.budget(x, stream_bias_gradients(model, x, target, collector))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(part == 0, 0, part / whole)
