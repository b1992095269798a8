"""Gradients at noisy copies of the image: SmoothGrad and its relatives.

captum's noise tunnel draws from the global random number generator, and its noise depends on the
batch; here draw i of a sample depends on (seed, sample id, i) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.saliency.base import SaliencyMethod, channel_sum, index_target, map_dtype
from fullgrad_lightning.saliency.baselines.gradients import input_gradient
from fullgrad_lightning.saliency.noise import (
    check_noise_options,
    gaussian_noise,
    noise_scale,
    resolve_sample_ids,
)
from fullgrad_lightning.saliency.registry import register_saliency_method


@register_saliency_method("smoothgrad")
@dataclass(frozen=True, kw_only=True)
class SmoothGrad(SaliencyMethod):
    """Σ_c |E ∇f(x + ε)| with Gaussian ε (Smilkov et al. 2017).

    The target is fixed once on the clean image.

    Args:
        n_samples: Number of noisy copies of each image.
        noise_level: Standard deviation of ε, as a share of each image's own range.
        seed: Seed of the noise.
        internal_batch_size: Largest number of noisy copies in one forward pass, which bounds the
            memory.

    Raises:
        ValueError: An option is out of range.
    """

    fixes_target: ClassVar[bool] = True

    n_samples: int = 25
    noise_level: float = 0.15
    seed: int = 0
    internal_batch_size: int = 32

    def __post_init__(self) -> None:
        check_noise_options(self.n_samples, self.noise_level, self.seed, self.internal_batch_size)

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        ids = resolve_sample_ids(x, sample_ids)
        mean = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
        square = torch.zeros_like(mean)
        scale = noise_scale(x, self.noise_level).view(-1, 1, 1, 1)
        pairs = [(i, draw) for i in range(len(x)) for draw in range(self.n_samples)]
        for first in range(0, len(pairs), self.internal_batch_size):
            chunk = pairs[first : first + self.internal_batch_size]
            rows = torch.tensor([i for i, _ in chunk], device=x.device)
            noise = [gaussian_noise(x[i], self.seed, ids[i], [draw])[0] for i, draw in chunk]
            noisy = x[rows] + scale[rows] * torch.stack(noise)
            gradient = input_gradient(model, noisy, index_target(target, rows)).double()
            mean.index_add_(0, rows, gradient / self.n_samples)
            square.index_add_(0, rows, gradient.square() / self.n_samples)
        return channel_sum(self._statistic(mean, square)).to(map_dtype(x))

    def _statistic(self, mean: Tensor, mean_of_squares: Tensor) -> Tensor:
        return mean


@register_saliency_method("smoothgrad_squared")
@dataclass(frozen=True, kw_only=True)
class SmoothGradSquared(SmoothGrad):
    """Σ_c E (∇f(x + ε))² (Hooker et al. 2019); options as ``SmoothGrad``."""

    def _statistic(self, mean: Tensor, mean_of_squares: Tensor) -> Tensor:
        return mean_of_squares


@register_saliency_method("vargrad")
@dataclass(frozen=True, kw_only=True)
class VarGrad(SmoothGrad):
    """Σ_c Var ∇f(x + ε) (Adebayo et al. 2018); options as ``SmoothGrad``."""

    def _statistic(self, mean: Tensor, mean_of_squares: Tensor) -> Tensor:
        return (mean_of_squares - mean.square()).clamp(min=0)
