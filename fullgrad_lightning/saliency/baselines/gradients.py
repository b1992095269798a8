"""The input gradient, alone and times the input, and the functions by which methods compute it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target, explained_scalar
from fullgrad_lightning.saliency.base import SaliencyMethod, channel_sum
from fullgrad_lightning.saliency.registry import register_saliency_method


@register_saliency_method("input_gradient")
@dataclass(frozen=True, kw_only=True)
class InputGradient(SaliencyMethod):
    """Σ_c |∇ₓf| (Simonyan et al. 2014, summed over colours instead of their maximum)."""

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        return channel_sum(input_gradient(model, x, target))


@register_saliency_method("input_x_gradient")
@dataclass(frozen=True, kw_only=True)
class InputXGradient(SaliencyMethod):
    """Σ_c |∇ₓf ⊙ x| (Shrikumar et al. 2016)."""

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        return channel_sum(input_gradient(model, x, target) * x)


def input_gradient(model: Model, x: Tensor, target: Target) -> Tensor:
    """Returns ∇ₓf, shaped like x. The model must run under ``isolate_model``."""
    leaf = x.detach().clone().requires_grad_()
    return gradient_at(leaf, differentiable_output(model, leaf, target))


def explained_output(model: Model, target: Target) -> Callable[[Tensor], Tensor]:
    """Returns the function x -> f(x), (N,), of a target that is fixed for every row of x."""
    return lambda x: explained_scalar(model(x), target, x.shape[0])


def differentiable_output(model: Model, leaf: Tensor, target: Target) -> Tensor:
    """Returns f at a leaf that requires its gradient, (N,), under ``isolate_model``."""
    # Through a clone: the model may modify its input in place, which no leaf allows.
    f = explained_output(model, target)(leaf.clone())
    if not f.requires_grad:
        raise ValueError(
            "The explained output does not depend on x through differentiable operations. Does the "
            "model run under torch.no_grad(), detach its features, or return class indices?"
        )
    return f


def gradient_at(leaf: Tensor, f: Tensor) -> Tensor:
    """Returns ∇f, shaped like the leaf; 0 if f does not depend on it."""
    (gradient,) = torch.autograd.grad(f.sum(), leaf, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient


def ancestor_nodes(root: Any) -> list[Any]:
    """Returns all nodes of the autograd graph that ends in ``root``, included; none of ``None``."""
    nodes = {} if root is None else {root: None}
    stack = list(nodes)
    while stack:
        for node, _ in stack.pop().next_functions:
            if node is not None and node not in nodes:
                nodes[node] = None
                stack.append(node)
    return list(nodes)
