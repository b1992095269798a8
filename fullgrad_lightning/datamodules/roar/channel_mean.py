"""The mean of each channel over a data set, computed once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.datamodules.roar.dataset_checks import check_shape, fetch
from fullgrad_lightning.datamodules.roar.items import image_of, stacked
from fullgrad_lightning.utilities.files import atomic_write

BATCH = 256


def channel_mean(view: Any, shape: tuple[int, int, int], *, num_workers: int = 0) -> Tensor:
    """The mean over all pixels of all images.

    Args:
        view: Hands out samples with images (C, H, W), without augmentation.
        shape: That (C, H, W).
        num_workers: Processes that load.

    Returns:
        (C,) float64, in the units of the images: 0…1, or 0…255 for PIL images and uint8.
    """
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


def read_mean(path: Path, fingerprint: str) -> Tensor | None:
    """The mean that was kept for data of this fingerprint; ``None`` if there is none."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    same = kept["data"] == fingerprint
    return torch.tensor(kept["mean"], dtype=torch.float64) if same else None


def keep_mean(path: Path, fingerprint: str, mean: Tensor) -> None:
    """Writes what ``read_mean`` reads; the file is there whole or not at all."""
    values: Sequence[float] = mean.tolist()
    atomic_write(path, json.dumps({"data": fingerprint, "mean": values}, indent=2) + "\n")


class _ChannelSums(Dataset[Tensor]):
    """The sum of each channel of a batch of images, in the place of its samples."""

    def __init__(self, view: Any, shape: tuple[int, int, int]) -> None:
        self.view, self.shape = view, shape

    def __len__(self) -> int:
        return len(self.view)

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        images = [image_of(item) for item in fetch(self.view, indices)]
        for image, index in zip(images, indices, strict=True):
            check_shape(image, self.shape, "train", index)
        return [stacked(images).sum((0, 2, 3), dtype=torch.float64)]
