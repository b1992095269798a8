"""MaskedDataset: samples with pixels replaced.

Shapes: N samples of C channels, (H, W) their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from fullgrad_lightning.datamodules.roar.dataset_checks import check_shape, fetch_samples
from fullgrad_lightning.datamodules.roar.sample_images import (
    get_images,
    stack_images,
    unstack_images,
)
from fullgrad_lightning.datamodules.splits import SPLITS
from fullgrad_lightning.datamodules.transforms import Transform
from fullgrad_lightning.masking.fills import fill_pixels, mask_as_image
from fullgrad_lightning.masking.options import Fill
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.samples import replace_entry


@dataclass(frozen=True)
class Masking:
    """Replacement of pixels by their ranks; the options are those of ``ROARDataModule``."""

    store: RankStore
    selection: PixelSelection
    fill: Fill
    mask_only: bool
    mean: Tensor | None  # (C,) in the units of the images, for the fill "mean"
    seed: int

    def __call__(self, images: Tensor, split: str, indices: Sequence[int]) -> Tensor:
        """Returns images (N, C, H, W) with pixels replaced; the input is not modified."""
        replaced = self.selection.replaced(self.store.ranks(split, indices))
        if self.mask_only:
            return mask_as_image(images, replaced)
        # The same index of another split gets different noise.
        ids = [index * len(SPLITS) + SPLITS.index(split) for index in indices]
        return fill_pixels(
            images, replaced, self.fill, mean=self.mean, sample_ids=ids, seed=self.seed
        )


class MaskedDataset(Dataset[Any]):
    """Prepared samples with pixels replaced, and then the remainder of their transform.

    Args:
        view: Map-style data set of samples with prepared images.
        shape: (C, H, W) of a prepared image.
        split: The split, whose ranks are used.
        masking: Replaces pixels.
        remainder: From a prepared image to the network's input: augmentation, normalisation.
    """

    def __init__(
        self,
        view: Any,
        shape: tuple[int, int, int],
        *,
        split: str,
        masking: Masking,
        remainder: Transform,
    ) -> None:
        self.view, self.shape, self.split = view, shape, split
        self.masking, self.remainder = masking, remainder

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Returns the samples of a batch, masked in one go; a DataLoader calls this."""
        samples = fetch_samples(self.view, indices)
        images, key = get_images(samples)
        for image, index in zip(images, indices, strict=True):
            check_shape(image, self.shape, self.split, index)
        masked = unstack_images(self.masking(stack_images(images), self.split, indices), images)
        return [
            replace_entry(sample, key, self.remainder(image))
            for sample, image in zip(samples, masked, strict=True)
        ]
