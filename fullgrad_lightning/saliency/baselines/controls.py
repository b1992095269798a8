"""Controls that know nothing of the network: noise, and edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.saliency.base import channel_sum, map_dtype, seed_option, validate_images
from fullgrad_lightning.saliency.draws import generator, sample_ids_of


@dataclass(frozen=True, kw_only=True)
class RandomSaliency:
    """Uniform random maps in [0, 1), which depend on the sample's id and the seed alone."""

    seed: int = 0

    def __post_init__(self) -> None:
        seed_option(self.seed)

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``."""
        validate_images(model, x, target)
        ids, size, dtype = sample_ids_of(x, sample_ids), (1, *x.shape[2:]), map_dtype(x)
        maps = [torch.rand(size, generator=generator(self.seed, i), dtype=dtype) for i in ids]
        return torch.stack(maps).to(x.device)


@dataclass(frozen=True, kw_only=True)
class Sobel:
    """Length of the gradient of brightness, by Sobel's operator on the mean over the channels."""

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``."""
        validate_images(model, x, target)
        grey = x.detach().to(map_dtype(x)).mean(1, keepdim=True)
        across = grey.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        kernels = torch.stack((across, across.mT))[:, None]
        edges = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), kernels)
        return channel_sum(torch.linalg.vector_norm(edges, dim=1, keepdim=True))
