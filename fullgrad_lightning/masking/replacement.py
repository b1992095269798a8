"""Replaces pixels of images as a network gets them: normalised, it may be.

Shapes: N images of C channels, (H, W) their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from fullgrad_lightning.masking.fills import Fill, fill


@dataclass(frozen=True, kw_only=True)
class PixelReplacer:
    """What is put in the place of pixels, where images are (image − mean) / std.

    Fills are made in the units of the image before its normalisation: ``black`` is 0 there, and
    (0 − mean) / std as the network gets it; ``mean`` is the normalisation's; the noise of
    ``noisy_linear`` is 0.01 there. Pixels that stay keep their exact bytes.

    Args:
        fill: See ``masking.fills.fill``.
        mean, std: Of the normalisation, one value for each channel; ``None``: there was none, and
            black is 0.
        seed: Of the noise.

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
        if self.fill not in get_args(Fill):
            raise ValueError(
                f"There is no fill {self.fill!r}. There are: {', '.join(get_args(Fill))}."
            )
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std must be given together: they undo the normalisation.")
        if self.fill == "mean" and self.mean is None:
            raise ValueError(
                "The fill 'mean' puts the mean of the normalisation: give mean and std, one value "
                "for each channel."
            )
        if self.std is not None and not all(value > 0 for value in self.std):
            raise ValueError(f"std must be positive in each channel, got {list(self.std)}.")

    @property
    def depends_on_mask(self) -> bool:
        """Whether a pixel's new value depends on which others are replaced."""
        return self.fill == "noisy_linear"

    def __call__(self, images: Tensor, replaced: Tensor, sample_ids: Sequence[int]) -> Tensor:
        """Images with other values in some pixels.

        Args:
            images: (N, C, H, W) as the network gets them, floating point (or uint8, if they were
                not normalised); they are not modified.
            replaced: (N, H, W) bool.
            sample_ids: N integers, from which the noise is drawn.

        Returns:
            (N, C, H, W), of the dtype and on the device of the images.

        Raises:
            TypeError, ValueError: As ``fill``; or a mean, or std, for another number of channels.
        """
        if self.mean is None or self.std is None:
            return fill(images, replaced, self.fill, sample_ids=sample_ids, seed=self.seed)
        if not images.is_floating_point():
            raise TypeError(f"Normalised images must be floating point, got {images.dtype}.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if images.ndim == 4 and len(values) != images.shape[1]:
                raise ValueError(
                    f"{name} must hold one value for each of {images.shape[1]} channels, got "
                    f"{list(values)}."
                )
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        filled = fill(
            images * std + mean, replaced, self.fill,
            mean=mean.flatten(), sample_ids=sample_ids, seed=self.seed,
        )  # fmt: skip
        return torch.where(replaced[:, None], (filled - mean) / std, images)
