"""Controls: random maps, edges of the image, and any other method's map, blurred."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.saliency.base import SaliencyMethod, channel_sum, map_dtype
from fullgrad_lightning.saliency.noise import resolve_sample_ids
from fullgrad_lightning.saliency.registry import register_saliency_method, saliency_method
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.gaussian_blur import gaussian_blur
from fullgrad_lightning.utilities.seeds import sample_generator


@register_saliency_method("random")
@dataclass(frozen=True, kw_only=True)
class RandomSaliency(SaliencyMethod):
    """Uniform random maps in [0, 1), which depend on the sample's id and the seed alone."""

    isolates_model: ClassVar[bool] = False

    seed: int = 0

    def __post_init__(self) -> None:
        check_int("seed", self.seed)

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        size, dtype = (1, *x.shape[2:]), map_dtype(x)
        maps = [
            torch.rand(size, generator=sample_generator(self.seed, sample_id, 0), dtype=dtype)
            for sample_id in resolve_sample_ids(x, sample_ids)
        ]
        return torch.stack(maps).to(x.device)


@register_saliency_method("sobel")
@dataclass(frozen=True, kw_only=True)
class Sobel(SaliencyMethod):
    """Length of the gradient of brightness, by Sobel's operator on the mean over the channels."""

    isolates_model: ClassVar[bool] = False

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        grey = x.to(map_dtype(x)).mean(1, keepdim=True)
        across = grey.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        kernels = torch.stack((across, across.mT))[:, None]
        edges = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), kernels)
        return channel_sum(torch.linalg.vector_norm(edges, dim=1, keepdim=True))


@register_saliency_method("blurred")
@dataclass(frozen=True, kw_only=True)
class Blurred(SaliencyMethod):
    """The map of another method, blurred.

    Blur alone is known to improve scores under remove-and-retrain, whatever is blurred. A smooth
    method should be compared with the blurred copy of a fine one too.

    Args:
        method: Name of any registered method.
        sigma: Standard deviation of the Gaussian in pixels, > 0. It is cut off at 4σ, and the map
            is continued by its mirror image.
        method_options: Options of the method.

    Raises:
        ValueError: There is no such method, or an option is out of range.
        TypeError: The method has no such option.

    Examples:
        >>> Blurred(method="random", sigma=1.5)(lambda x: x, torch.rand(2, 3, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """

    isolates_model: ClassVar[bool] = False

    method: str
    sigma: float
    method_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        is_number = isinstance(self.sigma, int | float) and not isinstance(self.sigma, bool)
        if not is_number or not isfinite(self.sigma) or self.sigma <= 0:
            raise ValueError(f"sigma must be > 0, in pixels, got {self.sigma!r}.")
        self._original()

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        maps = self._original()(model, x, target, sample_ids=sample_ids)
        return gaussian_blur(maps, self.sigma, truncate=4)

    def _original(self) -> SaliencyMethod:
        return saliency_method(self.method, **self.method_options)
