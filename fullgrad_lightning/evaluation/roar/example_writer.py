"""A few test images as the network of a cell sees them: people must see what was removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.datamodules.dataloaders import split_dataloader
from fullgrad_lightning.datamodules.roar.masked_dataset import MaskedDataset
from fullgrad_lightning.datamodules.roar.transform_split import find_normalization, list_transforms
from fullgrad_lightning.utilities.files import atomic_path
from fullgrad_lightning.utilities.indices import first_of_equal_parts
from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.utilities.samples import require_images_and_labels

NUMBER = 6


class ExampleWriter(pl.Callback):
    """Writes ``write_examples`` when a test begins: then all processes have set the data up.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """In the first process alone."""
        if trainer.is_global_zero:
            write_examples(self.path, trainer.datamodule)  # type: ignore[attr-defined]


def write_examples(path: Path, data: pl.LightningDataModule) -> None:
    """Writes the first image of each of ``NUMBER`` equal parts of the test set, un-normalised.

    | array | shape | what |
    |---|---|---|
    | ``images`` | (n, H, W, 3) uint8 | grey images three times over |
    | ``labels`` | (n,) int64 | class indices |
    | ``indices`` | (n,) int64 | where they stand in the test set |
    | ``names`` | (n,) text | their classes, if the data module has ``class_names`` |

    Args:
        path: The file, ``.npz``.
        data: Set up for testing. Its ``mean`` and ``std`` undo the normalisation; without them,
            those of a ``Normalize`` among the transforms of its test images.
    """
    loader = split_dataloader(data, "test")
    assert loader is not None
    dataset: Any = loader.dataset
    indices = first_of_equal_parts(len(dataset), NUMBER)
    images, labels = require_images_and_labels(loader.collate_fn([dataset[i] for i in indices]))
    arrays: dict[str, Any] = {
        "images": _as_bytes(images.cpu(), _normalization(data, dataset)),
        "labels": labels.cpu().numpy().astype(np.int64),
        "indices": np.array(indices, dtype=np.int64),
    }
    class_names = tuple(getattr(data, "class_names", None) or ())
    if arrays["labels"].max() < len(class_names):
        arrays["names"] = np.array([str(class_names[label]) for label in arrays["labels"]])
    with atomic_path(path) as unfinished:
        np.savez_compressed(unfinished, **arrays)


def _normalization(data: pl.LightningDataModule, dataset: Any) -> Normalization | None:
    is_masked = isinstance(dataset, MaskedDataset)
    return find_normalization(
        data, lambda: [dataset.remainder] if is_masked else list_transforms(dataset, "test")
    )


def _as_bytes(
    images: Tensor, normalization: Normalization | None
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns images (n, C, H, W) as (n, H, W, 3) uint8, un-normalised."""
    if images.dtype != torch.uint8:
        images = images.float()
        if normalization is not None:
            images = normalization.denormalize(images)
        images = (images * 255).round().clamp(0, 255).byte()
    channels = images[:, :3] if images.shape[1] >= 3 else images[:, :1].expand(-1, 3, -1, -1)
    return channels.permute(0, 2, 3, 1).contiguous().numpy()
