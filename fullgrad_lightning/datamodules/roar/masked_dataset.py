"""A data set that hands out samples with pixels replaced.

Shapes: N samples of C channels, (H, W) their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from fullgrad_lightning.datamodules.roar.dataset_checks import check_shape, fetch
from fullgrad_lightning.datamodules.roar.items import (
    images_of,
    stacked,
    unstacked,
    with_images,
)
from fullgrad_lightning.datamodules.roar.transform_split import Transform
from fullgrad_lightning.masking.fills import fill_pixels, mask_as_image
from fullgrad_lightning.masking.options import Fill
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.stores.rank_store import RankStore

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Masking:
    """Which pixels are replaced, and by what.

    Args:
        store: Ranks of all pixels.
        selection: Which of them are replaced.
        fill: Name of the fill.
        mask_only: Whether the image is replaced by the mask itself: 0 where pixels are replaced,
            full scale elsewhere.
        mean: (C,) in the units of the images, for the fill ``"mean"``.
        seed: Of the noise of ``"noisy_linear"``.
    """

    store: RankStore
    selection: PixelSelection
    fill: Fill
    mask_only: bool
    mean: Tensor | None
    seed: int

    def __call__(self, images: Tensor, split: str, indices: Sequence[int]) -> Tensor:
        """Images (N, C, H, W) with pixels replaced; those given are not modified."""
        replaced = self.selection.replaced(self.store.ranks(split, indices))
        if self.mask_only:
            return mask_as_image(images, replaced)
        # Different noise for the same index of another split.
        ids = [index * len(SPLITS) + SPLITS.index(split) for index in indices]
        return fill_pixels(
            images, replaced, self.fill, mean=self.mean, sample_ids=ids, seed=self.seed
        )


class MaskedDataset(Dataset[Any]):
    """Prepared samples with pixels replaced, and then the rest of their transform.

    Args:
        view: Hands out samples with prepared images; map-style.
        shape: (C, H, W) of a prepared image.
        split: The split whose ranks are meant.
        masking: Replaces pixels.
        rest: From a prepared image to what the network sees: augmentation, normalisation.
    """

    def __init__(
        self,
        view: Any,
        shape: tuple[int, int, int],
        *,
        split: str,
        masking: Masking,
        rest: Transform,
    ) -> None:
        self.view, self.shape, self.split = view, shape, split
        self.masking, self.rest = masking, rest

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Samples of a batch, whose masks are applied in one go: a DataLoader asks for this."""
        items = fetch(self.view, indices)
        images = images_of(items)
        for image, index in zip(images, indices, strict=True):
            check_shape(image, self.shape, self.split, index)
        masked = unstacked(self.masking(stacked(images), self.split, indices), images)
        return with_images(items, [self.rest(image) for image in masked])
