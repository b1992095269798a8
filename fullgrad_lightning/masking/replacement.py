"""Replacement of pixels in images as the network gets them, possibly normalised.

Shapes: N images of C channels, (H, W) their size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fullgrad_lightning.masking.fills import FILL_RULES, check_images, fill_pixels
from fullgrad_lightning.masking.options import FILLS, Fill
from fullgrad_lightning.utilities.checks import check_choice
from fullgrad_lightning.utilities.normalization import Normalization


@dataclass(frozen=True, kw_only=True)
class PixelReplacer:
    """Replaces pixels of images that are (image − mean) / std.

    Fills are computed in the units of the image before its normalisation: ``black`` is 0 there, and
    (0 − mean) / std for the network; ``mean`` is that of the normalisation; the noise of
    ``noisy_linear`` is 0.01 there. All other pixels keep their exact bytes.

    Args:
        fill: Name of the fill, see ``masking.fills.fill_pixels``.
        mean, std: Normalisation of the images, one value for each channel or one for all; ``None``:
            images are not normalised, and black is 0.
        seed: Seed of the noise.

    Raises:
        ValueError: An unknown fill, one of ``mean`` and ``std`` without the other, the fill
            ``"mean"`` without them, or a std that is not positive.

    Examples:
        >>> black = PixelReplacer(fill="black", mean=[0.5], std=[0.25])
        >>> black(torch.ones(1, 1, 1, 2), torch.tensor([[[True, False]]]), [0])
        tensor([[[[-2.,  1.]]]])
    """

    fill: Fill = "black"
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("fill", self.fill, FILLS)
        if self.normalization is None and self.fill == "mean":
            raise ValueError(
                "The fill 'mean' is the mean of the normalisation: give mean and std, one value "
                "for each channel."
            )

    @cached_property
    def normalization(self) -> Normalization | None:
        """Normalisation of the images; ``None`` if they are not normalised."""
        return Normalization.of(self.mean, self.std)

    def __call__(self, images: Tensor, replaced: Tensor, sample_ids: Sequence[int]) -> Tensor:
        """Replaces pixels of images.

        Args:
            images: (N, C, H, W) as the network gets them, floating point (or uint8, if they are not
                normalised); not modified.
            replaced: (N, H, W) bool, True where a pixel is replaced.
            sample_ids: N integers, from which the noise is drawn.

        Returns:
            (N, C, H, W), of the dtype and on the device of the images.

        Raises:
            TypeError, ValueError: As ``fill_pixels``; or a normalisation of another number of
                channels.
        """
        if self.normalization is None:
            return fill_pixels(images, replaced, self.fill, sample_ids=sample_ids, seed=self.seed)
        check_images(images, replaced)
        mean, _ = self.normalization.tensors(images)
        filled = fill_pixels(
            self.normalization.denormalize(images), replaced, self.fill,
            mean=mean.flatten(), sample_ids=sample_ids, seed=self.seed,
        )  # fmt: skip
        return torch.where(replaced[:, None], self.normalization.normalize(filled), images)

    def bind(self, images: Tensor, sample_ids: Sequence[int]) -> Callable[[Tensor, slice], Tensor]:
        """Returns a function that replaces pixels of these images under one mask after the other.

        What does not depend on the mask is computed once.

        Returns:
            A function of a mask (N, H, W) and the rows of a batch, which returns that batch.
        """
        if FILL_RULES[self.fill].depends_on_mask:
            return lambda mask, rows: self(images[rows], mask[rows], sample_ids[rows])
        baseline = self(images, torch.ones_like(images[:, 0], dtype=torch.bool), sample_ids)
        return lambda mask, rows: torch.where(mask[rows, None], baseline[rows], images[rows])
