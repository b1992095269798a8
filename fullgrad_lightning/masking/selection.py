"""Which pixels are replaced, by their ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from fullgrad_lightning.masking.options import Order as Order


@dataclass(frozen=True, kw_only=True)
class PixelSelection:
    """A fraction of the pixels, from one end of their order by saliency.

    ROAR (Hooker et al. 2019) removes the most salient ones; with ``remove=False`` it becomes KAR,
    keep and retrain: the fraction is kept and the rest replaced.

    Args:
        fraction: Share of the pixels that are chosen, 0…1: exactly round(fraction·H·W) of them
            (by Python's ``round``) in every image.
        order: From which end they are chosen.
        remove: Whether the chosen pixels are replaced, or all others.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> import torch
        >>> PixelSelection(fraction=0.5).replaced(torch.tensor([[2, 0], [3, 1]]))
        tensor([[False,  True],
                [False,  True]])
    """

    fraction: float = 0.3
    order: Order = "most_salient"
    remove: bool = True

    def __post_init__(self) -> None:
        number = isinstance(self.fraction, int | float) and not isinstance(self.fraction, bool)
        if not number or not 0 <= self.fraction <= 1:
            raise ValueError(
                f"fraction must be a number in 0…1, a share of the pixels, got {self.fraction!r}."
            )
        if self.order not in get_args(Order):
            raise ValueError(f"order must be one of {get_args(Order)}, got {self.order!r}.")
        if not isinstance(self.remove, bool):
            raise ValueError(f"remove must be True or False, got {self.remove!r}.")

    def chosen(self, pixels: int) -> int:
        """How many of the pixels of an image are chosen."""
        return round(self.fraction * pixels)

    def replaced(self, ranks: Tensor) -> Tensor:
        """Which pixels are replaced.

        Args:
            ranks: (…, H, W) integers: of each image, a permutation of 0…H·W − 1; 0 is the most
                salient pixel.

        Returns:
            (…, H, W) bool, True where the pixel is replaced.

        Raises:
            TypeError: Ranks that are not integers.
            ValueError: No (…, H, W).
        """
        if ranks.is_floating_point() or ranks.is_complex():
            raise TypeError(f"ranks must be integers, got {ranks.dtype}.")
        if ranks.ndim < 2:
            raise ValueError(f"ranks must be (…, H, W), got shape {tuple(ranks.shape)}.")
        pixels = ranks.shape[-2] * ranks.shape[-1]
        count = self.chosen(pixels)
        most = self.order == "most_salient"
        # One comparison: this runs for every image that is loaded.
        if most:
            return ranks < count if self.remove else ranks >= count
        return ranks >= pixels - count if self.remove else ranks < pixels - count
