"""The full-gradient representation with all its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.attribution_budget import (
    AttributionBudget,
    TermCollector,
    join_budgets,
)
from fullgrad_lightning.decomposition.axes.axis import Spatial
from fullgrad_lightning.decomposition.bias_gradients import (
    Model,
    stream_bias_gradients,
    whole_or_one_by_one,
)
from fullgrad_lightning.decomposition.completeness import report_incompleteness
from fullgrad_lightning.decomposition.operations.bias_rules import Kind
from fullgrad_lightning.decomposition.target import Target
from fullgrad_lightning.decomposition.tracing.sites import Site


@dataclass(frozen=True)
class BiasGradient:
    """One bias-gradient f^b = ∂f/∂y ⊙ b.

    Attributes:
        values: Shaped like the output y of its operation. (N,), one sum per sample, where ``kind``
            is ``not_localized``. Where samples had to be decomposed one by one, their values are
            stacked; if their shapes differ, only their sums, (N,), are kept.
        kind: The origin of the bias; see ``Site``.
        spatial: ``"NCHW"``, ``"NHWC"`` or ``"tokens"`` where the values lie on the image, else
            ``None``.
    """

    values: Tensor
    kind: Kind
    spatial: Spatial | None


@dataclass(frozen=True, repr=False)
class FullGradients(AttributionBudget):
    """The full-gradient representation: f(x) = ⟨∇ₓf, x⟩ + Σ f^b (equation 1).

    Attributes:
        input_gradient: ∇ₓf, shaped like x.
        bias_gradients: Site name -> bias-gradient, in the order of execution.
    """

    input_gradient: Tensor
    bias_gradients: dict[str, BiasGradient]


def full_gradients(model: Model, x: Tensor, target: Target = None) -> FullGradients:
    """The exact full-gradient representation of f at x, of any differentiable network.

    Every operation y = op(x₁…x_k) is linearised at its own operands, b = y − Σ J_i x_i; with
    g = ∂f/∂y its bias-gradient is g ⊙ b. Gradients telescope, so that f(x) = ⟨∇ₓf, x⟩ + Σ ⟨g, b⟩
    for every graph (Srinivas & Fleuret, NeurIPS 2019, equation 1 and Proposition 2, where only
    explicit biases and those of piecewise linear units occur).

    All bias-gradients are kept, which takes as much memory as the activations: use
    ``attribution_budget`` or ``layer_maps`` where sums or maps will do.

    Args:
        model: Any differentiable network. It runs in eval mode and is left exactly as it was.
        x: (N, C, H, W), or any floating-point tensor with a batch dimension.
        target: ``None`` (the top class of each sample), a class index, class indices (N,), or a
            callable ``output -> (N,)`` for outputs that are not (N, K).

    Returns:
        Terms, gradients and residual; (N,) each, or shaped like x and the outputs of the sites.

    Raises:
        TypeError: x is not floating point, the model is TorchScript, or target of a wrong type.
        ValueError: No batch dimension, an empty batch, NaN or infinity in x, an output or target
            that does not fit, an output that does not depend on x, or samples that are coupled
            through batch statistics.

    Warns:
        IncompleteDecomposition: The relative residual exceeds what rounding explains.

    Examples:
        f(x) = 1 − ReLU(1 − x) at 2 is saturated: no gradient, and all of f in the biases.

        >>> import torch
        >>> fg = full_gradients(
        ...     lambda x: 1 - torch.relu(1 - x), torch.tensor([[2.0]]), target=0)
        >>> fg.input_term.item(), {name: t.item() for name, t in fg.bias_terms.items()}
        (0.0, {'rsub': 0.0, 'rsub#2': 1.0})
    """
    result = whole_or_one_by_one(_full, _join, model, x, target)
    report_incompleteness(result.relative_residual, result.output.dtype, model, x, target)
    return result


class _Collector(TermCollector):
    """Stores every bias-gradient beside its sum."""

    def __init__(self) -> None:
        super().__init__()
        self.gradients: dict[str, BiasGradient] = {}

    def add(self, site: Site, values: Tensor, term: Tensor) -> None:
        super().add(site, values, term)
        self.gradients[site.name] = BiasGradient(values, site.kind, site.spatial)


def _full(model: Model, x: Tensor, target: Target) -> FullGradients:
    collector = _Collector()
    result = stream_bias_gradients(model, x, target, collector)
    budget = collector.budget(x, result)
    gradients = {name: collector.gradients[name] for name in budget.sites}
    return FullGradients(
        **vars(budget), input_gradient=result.input_gradient, bias_gradients=gradients
    )


def _join(parts: Sequence[FullGradients]) -> FullGradients:
    budget = join_budgets(parts)
    gradients = {}
    for name, site in budget.sites.items():
        tensors = [p.bias_gradients[name].values for p in parts if name in p.bias_gradients]
        if len(tensors) < len(parts) or len({values.shape for values in tensors}) > 1:
            values = budget.bias_terms[name]  # not every sample has it, or not of one shape
        elif tensors[0].ndim > 0 and tensors[0].shape[0] == 1:
            values = torch.cat(tensors)
        else:
            values = torch.stack(tensors)
        gradients[name] = BiasGradient(values, site.kind, site.spatial)
    input_gradient = torch.cat([part.input_gradient for part in parts])
    return FullGradients(**vars(budget), input_gradient=input_gradient, bias_gradients=gradients)
