"""Selection of the pixels that are replaced, by their ranks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fullgrad_lightning.masking.options import ORDERS, Order
from fullgrad_lightning.utilities.checks import check_choice, check_fraction


@dataclass(frozen=True, kw_only=True)
class PixelSelection:
    """A fraction of the pixels, from one end of their order by saliency.

    ROAR (Hooker et al. 2019) removes the most salient pixels; with ``remove=False`` it becomes KAR,
    keep and retrain: the fraction is kept and all other pixels are replaced.

    Args:
        fraction: Share of the pixels that are selected, 0…1: exactly round(fraction·H·W) of them
            (by Python's ``round``) in every image.
        order: The end of the order from which they are selected.
        remove: If True, the selected pixels are replaced, else all others.

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
        check_fraction("fraction", self.fraction)
        check_choice("order", self.order, ORDERS)
        if not isinstance(self.remove, bool):
            raise ValueError(f"remove must be True or False, got {self.remove!r}.")

    def num_selected(self, pixels: int) -> int:
        """Returns the number of pixels that are selected in an image."""
        return round(self.fraction * pixels)

    def replaced(self, ranks: Tensor) -> Tensor:
        """Returns the mask of the pixels that are replaced.

        Args:
            ranks: (…, H, W) integers, for each image a permutation of 0…H·W − 1; 0 is the most
                salient pixel.

        Returns:
            (…, H, W) bool, True where the pixel is replaced.

        Raises:
            TypeError: Ranks that are not integers.
            ValueError: Not (…, H, W).
        """
        if ranks.is_floating_point() or ranks.is_complex():
            raise TypeError(f"ranks must be integers, got {ranks.dtype}.")
        if ranks.ndim < 2:
            raise ValueError(f"ranks must be (…, H, W), got shape {tuple(ranks.shape)}.")
        pixels = ranks.shape[-2] * ranks.shape[-1]
        count = self.num_selected(pixels)
        # A single comparison, because this runs for every image that is loaded.
        if self.order == "most_salient":
            return ranks < count if self.remove else ranks >= count
        return ranks >= pixels - count if self.remove else ranks < pixels - count
