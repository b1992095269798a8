"""Gradients at noisy copies of the image: SmoothGrad and its relatives.

captum's noise tunnel draws from the global random number generator, and its noise depends on the
batch; here draw i of a sample depends on (seed, sample id, i) alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target, isolate_model
from fullgrad_lightning.saliency.base import (
    channel_sum,
    index_target,
    input_gradient_of,
    map_dtype,
    noise_options,
    positive_integer,
    resolve_target,
    validate_images,
)
from fullgrad_lightning.saliency.draws import gaussian_noise, noise_scale, sample_ids_of


@dataclass(frozen=True, kw_only=True)
class SmoothGrad:
    """Σ_c |E ∇f(x + ε)| with Gaussian ε (Smilkov et al. 2017).

    The target is fixed once on the clean image.

    Args:
        n_samples: Number of noisy copies of each image.
        noise_level: Standard deviation of ε, as a share of each image's own range.
        seed: Of the noise.
        internal_batch_size: The most noisy copies that run at once: what bounds the memory.

    Raises:
        ValueError: An option out of range.
    """

    n_samples: int = 25
    noise_level: float = 0.15
    seed: int = 0
    internal_batch_size: int = 32

    def __post_init__(self) -> None:
        noise_options(self.n_samples, self.noise_level, self.seed)
        positive_integer("internal_batch_size", self.internal_batch_size)

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``."""
        model = validate_images(model, x, target)
        ids = sample_ids_of(x, sample_ids)
        x, target = x.detach(), resolve_target(model, x, target)
        with isolate_model(model, x):
            mean = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
            square = torch.zeros_like(mean)
            scale = noise_scale(x, self.noise_level).view(-1, 1, 1, 1)
            pairs = [(i, draw) for i in range(len(x)) for draw in range(self.n_samples)]
            for first in range(0, len(pairs), self.internal_batch_size):
                chunk = pairs[first : first + self.internal_batch_size]
                rows = torch.tensor([i for i, _ in chunk], device=x.device)
                noise = [gaussian_noise(x[i], self.seed, ids[i], [draw])[0] for i, draw in chunk]
                noisy = x[rows] + scale[rows] * torch.stack(noise)
                gradient = input_gradient_of(model, noisy, index_target(target, rows)).double()
                mean.index_add_(0, rows, gradient / self.n_samples)
                square.index_add_(0, rows, gradient.square() / self.n_samples)
        return channel_sum(self._statistic(mean, square)).to(map_dtype(x))

    def _statistic(self, mean: Tensor, mean_of_squares: Tensor) -> Tensor:
        return mean


@dataclass(frozen=True, kw_only=True)
class SmoothGradSquared(SmoothGrad):
    """Σ_c E (∇f(x + ε))² (Hooker et al. 2019); options as ``SmoothGrad``."""

    def _statistic(self, mean: Tensor, mean_of_squares: Tensor) -> Tensor:
        return mean_of_squares


@dataclass(frozen=True, kw_only=True)
class VarGrad(SmoothGrad):
    """Σ_c Var ∇f(x + ε) (Adebayo et al. 2018); options as ``SmoothGrad``."""

    def _statistic(self, mean: Tensor, mean_of_squares: Tensor) -> Tensor:
        return (mean_of_squares - mean.square()).clamp(min=0)
