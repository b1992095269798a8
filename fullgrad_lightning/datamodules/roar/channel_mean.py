"""The mean of each channel over a data set, computed once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.datamodules.roar.dataset_checks import check_shape, fetch_samples
from fullgrad_lightning.datamodules.roar.prepared_datasets import PreparedSplits
from fullgrad_lightning.datamodules.roar.sample_images import get_image, stack_images
from fullgrad_lightning.utilities.files import atomic_write

BATCH = 256


def load_channel_mean(
    images: PreparedSplits, folder: Path, *, num_workers: int, trainer: pl.Trainer | None
) -> Tensor:
    """Returns the mean of each channel over the prepared training images, (C,) float64.

    It is in the units of the images, 0…1, or 0…255 for PIL images and uint8, and is kept in the
    store's folder. The first process of a Trainer computes for all, which must call this together.
    """
    path = folder / "channel_mean.json"
    if trainer is not None and not trainer.is_global_zero:
        trainer.strategy.barrier("channel_mean")
    mean = _read(path, images.fingerprint)
    if mean is None:
        mean = _channel_mean(images.views["train"], images.shape, num_workers)
        content = {"data": images.fingerprint, "mean": mean.tolist()}
        with suppress(PermissionError):  # another user's store: the mean is computed each time
            atomic_write(path, json.dumps(content, indent=2) + "\n")
    if trainer is not None and trainer.is_global_zero:
        trainer.strategy.barrier("channel_mean")
    return mean


def _channel_mean(view: Any, shape: tuple[int, int, int], num_workers: int) -> Tensor:
    sums = DataLoader(
        _ChannelSums(view, shape),
        batch_size=BATCH,
        num_workers=num_workers,
        collate_fn=list,
        generator=torch.Generator(),  # or the loader would draw a number from the global one
    )
    channels, height, width = shape
    total = torch.zeros(channels, dtype=torch.float64)
    for batch in sums:
        total += torch.stack(batch).sum(0)
    return total / (len(view) * height * width)


def _read(path: Path, fingerprint: str) -> Tensor | None:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    is_same = stored["data"] == fingerprint
    return torch.tensor(stored["mean"], dtype=torch.float64) if is_same else None


class _ChannelSums(Dataset[Tensor]):
    """The sums of each channel over batches of images: (C,) for each batch instead of samples."""

    def __init__(self, view: Any, shape: tuple[int, int, int]) -> None:
        self.view, self.shape = view, shape

    def __len__(self) -> int:
        return len(self.view)

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        images = [get_image(sample) for sample in fetch_samples(self.view, indices)]
        for image, index in zip(images, indices, strict=True):
            check_shape(image, self.shape, "train", index)
        return [stack_images(images).sum((0, 2, 3), dtype=torch.float64)]
