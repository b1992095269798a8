"""SimpleFullGrad and SmoothFullGrad, the variants that were released with FullGrad."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.decomposition.bias_gradients import stream_bias_gradients
from fullgrad_lightning.decomposition.target import select_target
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias, SampleAxisLost
from fullgrad_lightning.saliency.base import index_target
from fullgrad_lightning.saliency.fullgrad import Explanation, FullGrad
from fullgrad_lightning.saliency.map_accumulator import MapAccumulator, Sites
from fullgrad_lightning.saliency.noise import (
    check_noise_options,
    gaussian_noise,
    noise_scale,
    resolve_sample_ids,
)
from fullgrad_lightning.saliency.postprocess import Postprocess
from fullgrad_lightning.saliency.registry import register_saliency_method


@register_saliency_method("simple_fullgrad")
@dataclass(frozen=True)
class SimpleFullGrad(FullGrad):
    """FullGrad with the gradients of intermediate features instead of bias-gradients.

    ψ(∇ₓf ⊙ x) + Σ_l Σ_c ψ(∂f/∂y_{l,c}) over the outputs y of the convolutions that have a bias and
    of the batch norms, as released by the authors of FullGrad. Under ``postprocess="paper"`` it
    would be FullGrad itself: a bias that is constant on its channel cancels.

    Args:
        postprocess: As in ``FullGrad``; the released code uses ``"idiap"``.
        sites: ``"bias"``; other sites have no features.
        interpolation, multiply_by_input, placement: As in ``FullGrad``.
    """

    postprocess: str | Postprocess = "idiap"
    sites: Sites | None = "bias"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolved_sites != "bias":
            raise ValueError(
                "SimpleFullGrad is defined on the outputs of convolutions and batch norms: "
                f"sites must be 'bias', got {self.sites!r}. Use FullGrad for all sites."
            )

    def make_accumulator(self, n: int) -> MapAccumulator:
        return MapAccumulator(n, self.psi, "bias", self.placement, use_bias=False)


@register_saliency_method("smooth_fullgrad")
@dataclass(frozen=True)
class SmoothFullGrad(FullGrad):
    """FullGrad of bias-gradients that are averaged, signed, over noisy copies, before ψ.

    As released by the authors of FullGrad, after SmoothGrad (Smilkov et al. 2017). The target is
    fixed once on the clean image. All draws of one image run in one batch, so that each bias-
    gradient is averaged and reduced as it appears; if they are split into several batches, their
    averages, of the size of one image's activations, are kept. ``explain`` computes everything but
    the maps in one more pass, over the clean images.

    Args:
        postprocess, sites, interpolation, multiply_by_input, placement: As in ``FullGrad``.
        n_samples: Number of noisy copies of each image.
        noise_level: Standard deviation of the noise, as a share of each image's own range.
        seed: Seed of the noise; draw i of a sample depends on (seed, sample id, i) alone.
        internal_batch_size: Largest number of noisy copies in one forward pass, which bounds the
            memory.
    """

    fixes_target: ClassVar[bool] = True

    n_samples: int = 25
    noise_level: float = 0.15
    seed: int = 0
    internal_batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_noise_options(self.n_samples, self.noise_level, self.seed, self.internal_batch_size)

    def _explain(
        self,
        model: Model,
        x: Tensor,
        target: Target,
        sample_ids: Tensor | None,
        coverage: bool = False,
        layer_psi: Postprocess | None = None,
        budget: bool = False,
    ) -> Explanation:
        maps = []
        for i, sample_id in enumerate(resolve_sample_ids(x, sample_ids)):
            sample = (model, x[i : i + 1], select_target(target, i), sample_id)
            try:
                maps.append(self._smooth_map(*sample, self.internal_batch_size))
            except SampleAxisLost:
                maps.append(self._smooth_map(*sample, 1))
        if not (coverage or layer_psi is not None or budget):
            return Explanation(torch.cat(maps))
        clean = FullGrad(sites=self.resolved_sites, placement=self.placement)
        others = clean._explain(model, x, target, None, coverage, layer_psi, budget)
        return replace(others, saliency=torch.cat(maps))

    def _smooth_map(
        self, model: Model, x: Tensor, target: Target, sample_id: int, batch_size: int
    ) -> Tensor:
        """Returns the map, (1, 1, H, W), of one sample (1, C, H, W)."""
        accumulator = _MeanAccumulator(
            1, self.psi, self.resolved_sites, self.placement, draws=self.n_samples
        )
        input_term = torch.zeros_like(x)
        for first in range(0, self.n_samples, batch_size):
            draws = range(first, min(first + batch_size, self.n_samples))
            noise = gaussian_noise(x[0], self.seed, sample_id, draws)
            noisy = x + noise_scale(x, self.noise_level) * noise
            accumulator.samples = len(draws)
            repeated = index_target(target, torch.zeros(len(draws), dtype=torch.int64))
            result = stream_bias_gradients(model, noisy, repeated, accumulator)
            term = self.input_term(noisy, result.input_gradient)
            input_term += term.sum(0) / self.n_samples
        accumulator.reduce_means()
        return self.finish_maps(accumulator, input_term)


@dataclass
class _MeanAccumulator(MapAccumulator):
    """Averages the values of each site over all draws before they are reduced."""

    draws: int = 1
    means: dict[str, Tensor] = field(default_factory=dict)

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        values = self.place(pending, gradient)
        if values is None:
            return
        name, mean = pending.site.name, values.sum(0, keepdim=True) / self.draws
        if self.samples == self.draws:  # all draws are in this batch
            self.add(mean)
        elif name in self.means:
            self.means[name] += mean
        else:
            self.means[name] = mean

    def reduce_means(self) -> None:
        """Reduces the means of draws that ran in several batches."""
        for mean in self.means.values():
            self.add(mean)
