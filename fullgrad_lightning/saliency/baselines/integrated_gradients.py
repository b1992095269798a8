"""Integrated gradients, by captum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.decomposition.target import select_target
from fullgrad_lightning.saliency.base import SaliencyMethod, channel_sum
from fullgrad_lightning.saliency.baselines.gradients import differentiable_output
from fullgrad_lightning.saliency.registry import register_saliency_method
from fullgrad_lightning.utilities.checks import check_int


@register_saliency_method("integrated_gradients")
@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(SaliencyMethod):
    """Σ_c |x ⊙ ∫₀¹ ∇f(αx) dα| from a baseline of zero (Sundararajan et al. 2017), by captum.

    The target is fixed once on the clean image.

    Args:
        n_steps: Points of the Gauss-Legendre quadrature.
        internal_batch_size: Largest number of points in one forward pass, which bounds the memory.

    Raises:
        ValueError: An option is out of range.
    """

    fixes_target: ClassVar[bool] = True

    n_steps: int = 50
    internal_batch_size: int = 32

    def __post_init__(self) -> None:
        check_int("n_steps", self.n_steps, 1)
        check_int("internal_batch_size", self.internal_batch_size, 1)

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        from captum import attr  # takes seconds, and most methods do without

        maps = []
        for i in range(len(x)):  # one by one: captum's chunks must hold whole batches
            f = _with_one_target(model, select_target(target, i))
            attributions = attr.IntegratedGradients(f, multiply_by_inputs=True).attribute(
                x[i : i + 1].clone(),
                n_steps=self.n_steps,
                internal_batch_size=self.internal_batch_size,
            )
            maps.append(channel_sum(attributions))
        return torch.cat(maps)


def _with_one_target(model: Model, target: Target) -> Callable[[Tensor], Tensor]:
    """Returns the function x -> f(x) with one target for all rows."""

    def f(x: Tensor) -> Tensor:
        repeated = target.expand(len(x)) if isinstance(target, Tensor) else target
        return differentiable_output(model, x, repeated)

    return f
