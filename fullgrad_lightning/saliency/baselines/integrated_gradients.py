"""Integrated gradients, by captum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from captum import attr
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target, isolate_model
from fullgrad_lightning.saliency.base import (
    channel_sum,
    differentiable_output,
    positive_integer,
    resolve_target,
    validate_images,
)


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients:
    """Σ_c |x ⊙ ∫₀¹ ∇f(αx) dα| from a baseline of zero (Sundararajan et al. 2017), by captum.

    The target is fixed once on the clean image.

    Args:
        n_steps: Points of the Gauss-Legendre quadrature.
        internal_batch_size: The most points that run at once: what bounds the memory.

    Raises:
        ValueError: An option out of range.
    """

    n_steps: int = 50
    internal_batch_size: int = 32

    def __post_init__(self) -> None:
        positive_integer("n_steps", self.n_steps)
        positive_integer("internal_batch_size", self.internal_batch_size)

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``."""
        model = validate_images(model, x, target)
        target = resolve_target(model, x, target)
        attributions = []
        with isolate_model(model, x):
            for i in range(len(x)):  # one by one: captum's chunks must hold whole batches
                its = target[i : i + 1] if isinstance(target, Tensor) else target
                method = attr.IntegratedGradients(_repeated(model, its), multiply_by_inputs=True)
                attributions.append(
                    channel_sum(
                        method.attribute(
                            x[i : i + 1].detach().clone(),
                            n_steps=self.n_steps,
                            internal_batch_size=self.internal_batch_size,
                        )
                    )
                )
        return torch.cat(attributions)


def _repeated(model: Model, target: Target) -> Callable[[Tensor], Tensor]:
    """x -> f(x) with one target for all rows."""

    def f(x: Tensor) -> Tensor:
        its = target.expand(len(x)) if isinstance(target, Tensor) else target
        return differentiable_output(model, x, its)

    return f
