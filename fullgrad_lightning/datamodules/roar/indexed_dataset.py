"""Samples with their own index, without augmentation: what saliency is estimated on.

Shapes: N samples of a batch, (C, H, W) of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from fullgrad_lightning.datamodules.dataloaders import workers
from fullgrad_lightning.datamodules.roar.dataset_checks import check_shape, fetch
from fullgrad_lightning.datamodules.roar.items import image_of, with_image
from fullgrad_lightning.datamodules.roar.transform_split import Transform


class IndexedDataset(Dataset[tuple[int, Any]]):
    """(index, sample), without augmentation.

    Args:
        view: Hands out samples with prepared images; map-style.
        shape: (C, H, W) of a prepared image.
        split: Its name, for errors.
        evaluation: From a prepared image to what the network sees.
    """

    def __init__(
        self, view: Any, shape: tuple[int, int, int], *, split: str, evaluation: Transform
    ) -> None:
        self.view, self.shape, self.split, self.evaluation = view, shape, split, evaluation

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        (item,) = fetch(self.view, [index])
        image = image_of(item)
        check_shape(image, self.shape, self.split, index)
        return index, with_image(item, self.evaluation(image))


@dataclass(frozen=True)
class CollateWithIndices:
    """Collates (index, sample) pairs to (indices (N,) int64, batch).

    Args:
        collate: Makes a batch of samples.
    """

    collate: Callable[[list[Any]], Any]

    def __call__(self, pairs: Sequence[tuple[int, Any]]) -> tuple[Tensor, Any]:
        indices, items = zip(*pairs, strict=True)
        return torch.tensor(indices), self.collate(list(items))


def indexed_loader(
    dataset: Dataset[tuple[int, Any]],
    like: DataLoader[Any],
    rows: Sequence[int] | None = None,
    processes: int = 1,
) -> DataLoader[Any]:
    """Batches (indices (N,), batch) in order.

    Args:
        dataset: The samples.
        like: Tells how to load and collate, and how many samples at a time.
        rows: Which samples; ``None``: all.
        processes: Among how many Lightning will deal them out. It does not deal out fewer samples
            than that: then some are repeated.
    """
    if rows is not None and len(rows) < processes:
        rows = (list(rows) * processes)[:processes]
    return DataLoader(
        dataset if rows is None else Subset(dataset, rows),
        batch_size=like.batch_size or 64,  # None: a batch sampler of the user's own
        collate_fn=CollateWithIndices(like.collate_fn),
        worker_init_fn=like.worker_init_fn,
        **workers(like),
    )
