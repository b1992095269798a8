"""SmoothFullGrad: full-gradients averaged over noisy copies of the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.decomposition.bias_gradients import stream_bias_gradients
from fullgrad_lightning.decomposition.target import select_target
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias, SampleAxisLost
from fullgrad_lightning.saliency.base import index_target
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.map_accumulator import MapAccumulator
from fullgrad_lightning.saliency.noise import (
    check_noise_options,
    gaussian_noise,
    noise_scale,
    resolve_sample_ids,
)
from fullgrad_lightning.saliency.registry import register_saliency_method


@register_saliency_method("smooth_fullgrad")
@dataclass(frozen=True)
class SmoothFullGrad(FullGrad):
    """FullGrad of site maps that were averaged, signed, over noisy copies, before ψ.

    As released by the authors of FullGrad, after SmoothGrad (Smilkov et al. 2017). The target is
    fixed once on the clean image. All draws of one image run in one batch, so that each bias-
    gradient is averaged and reduced as it appears; if they have to be split, their averages, of the
    size of one image's activations, are kept.

    Args:
        postprocess, sites, interpolation, multiply_by_input, placement: As in ``FullGrad``.
        n_samples: Number of noisy copies of each image.
        noise_level: Standard deviation of the noise, as a share of each image's own range.
        seed: Of the noise; draw i of a sample depends on (seed, sample id, i) alone.
        internal_batch_size: The most noisy copies that run at once: what bounds the memory.
    """

    fixes_target: ClassVar[bool] = True

    n_samples: int = 25
    noise_level: float = 0.15
    seed: int = 0
    internal_batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_noise_options(self.n_samples, self.noise_level, self.seed, self.internal_batch_size)

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        ids = resolve_sample_ids(x, sample_ids)
        return torch.cat([self._map(model, x, target, i, ids[i]) for i in range(x.shape[0])])

    def _map(self, model: Model, x: Tensor, target: Target, i: int, sample_id: int) -> Tensor:
        target = select_target(target, i)
        try:
            return self._averaged(model, x[i], target, sample_id, self.internal_batch_size)
        except SampleAxisLost:
            return self._averaged(model, x[i], target, sample_id, 1)

    def _averaged(
        self, model: Model, clean: Tensor, target: Target, sample_id: int, at_once: int
    ) -> Tensor:
        consumer = _Average(1, self.psi, self.sites_taken, self.placement, draws=self.n_samples)
        input_term = torch.zeros_like(clean)
        for first in range(0, self.n_samples, at_once):
            draws = range(first, min(first + at_once, self.n_samples))
            noise = gaussian_noise(clean, self.seed, sample_id, draws)
            noisy = clean + noise_scale(clean[None], self.noise_level) * noise
            consumer.samples = len(draws)
            repeated = index_target(target, torch.zeros(len(draws), dtype=torch.int64))
            gradient = stream_bias_gradients(model, noisy, repeated, consumer).input_gradient
            term = gradient * noisy if self.multiply_by_input else gradient
            input_term += term.sum(0) / self.n_samples
        consumer.reduce_all()
        return self.finished(consumer, input_term[None])


@dataclass
class _Average(MapAccumulator):
    """Averages the values of each site over all draws before they are reduced."""

    draws: int = 1
    means: dict[str, Tensor] = field(default_factory=dict)

    def receive(self, record: PendingBias, gradient: Tensor) -> None:
        values = self.placed(record, gradient)
        if values is None:
            return
        mean = values.sum(0, keepdim=True) / self.draws
        if self.samples == self.draws:  # none are to come: reduce it at once
            self.add(mean)
        elif record.site.name in self.means:
            self.means[record.site.name] += mean
        else:
            self.means[record.site.name] = mean

    def reduce_all(self) -> None:
        """Reduces what was kept."""
        for mean in self.means.values():
            self.add(mean)
