"""The input gradient, alone and times the input."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target, isolate_model
from fullgrad_lightning.saliency.base import channel_sum, input_gradient_of, validate_images


@dataclass(frozen=True, kw_only=True)
class InputGradient:
    """Σ_c |∇ₓf| (Simonyan et al. 2014, summed over colours instead of their maximum)."""

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``."""
        model = validate_images(model, x, target)
        with isolate_model(model, x):
            return channel_sum(input_gradient_of(model, x, target))


@dataclass(frozen=True, kw_only=True)
class InputXGradient:
    """Σ_c |∇ₓf ⊙ x| (Shrikumar et al. 2016)."""

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``."""
        model = validate_images(model, x, target)
        with isolate_model(model, x):
            return channel_sum(input_gradient_of(model, x, target) * x.detach())
