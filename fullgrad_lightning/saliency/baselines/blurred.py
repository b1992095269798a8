"""A control: any method's map under a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.saliency.base import SaliencyMethod


@dataclass(frozen=True, kw_only=True)
class Blurred:
    """The map of another method, blurred.

    Blur alone is known to improve scores under remove-and-retrain, whatever is blurred. Whoever
    compares a smooth method with a fine one should look at the fine one's blurred copy too.

    Args:
        method: Name of any registered method.
        sigma: Standard deviation of the Gaussian in pixels, > 0. It is cut off at 4σ, and the map
            is continued by its mirror image.
        method_options: Options of the method.

    Raises:
        ValueError: No such method, or an option out of range.
        TypeError: An option that the method does not have.

    Examples:
        >>> import torch
        >>> Blurred(method="random", sigma=1.5)(lambda x: x, torch.rand(2, 3, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """

    method: str
    sigma: float
    method_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        number = isinstance(self.sigma, int | float) and not isinstance(self.sigma, bool)
        if not number or not isfinite(self.sigma) or self.sigma <= 0:
            raise ValueError(f"sigma must be > 0, in pixels, got {self.sigma!r}.")
        self._original()

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``."""
        maps = self._original()(model, x, target, sample_ids=sample_ids)
        radius = round(4 * self.sigma)
        # A mirror image is narrower than the map by a pixel. One axis after the other is the same
        # Gaussian, and faster.
        down, right = (2 * min(radius, side - 1) + 1 for side in maps.shape[2:])
        for kernel in ([right, 1], [1, down]):
            maps = gaussian_blur(maps, kernel, [self.sigma, self.sigma])
        return maps

    def _original(self) -> SaliencyMethod:
        from fullgrad_lightning.saliency.registry import saliency_method  # which knows this class

        return saliency_method(self.method, **self.method_options)
