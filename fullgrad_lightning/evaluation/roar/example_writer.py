"""``examples.npz``: a few test images as the network of a cell receives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from fullgrad_lightning.datamodules.dataloaders import split_dataloader
from fullgrad_lightning.datamodules.roar.masked_dataset import MaskedDataset
from fullgrad_lightning.datamodules.roar.transform_split import find_normalization, list_transforms
from fullgrad_lightning.evaluation.reports.image_page import example_batch
from fullgrad_lightning.utilities.files import atomic_path
from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.utilities.samples import require_images_and_labels
from fullgrad_lightning.visualization.unnormalize import input_pixels

NUM_EXAMPLES = 6


class ExampleWriter(pl.Callback):
    """Calls ``write_examples`` when a test begins: then all processes have set the data up."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the file, in the first process alone."""
        if trainer.is_global_zero:
            write_examples(self.path, trainer.datamodule)  # type: ignore[attr-defined]


def write_examples(path: Path, data: pl.LightningDataModule) -> None:
    """Writes the first image of each of ``NUM_EXAMPLES`` equal parts of the test set, unnormalised.

    | array | shape | content |
    |---|---|---|
    | ``images`` | (n, H, W, 3) uint8 | other images than colour images are grey |
    | ``labels`` | (n,) int64 | class indices |
    | ``indices`` | (n,) int64 | positions in the test set |
    | ``names`` | (n,) text | names of the classes, if the data module has ``class_names`` |

    The data module, set up for testing, has ``mean`` and ``std``, which undo the normalisation;
    without them, those of a ``Normalize`` among the transforms of its test images do.
    """
    loader = split_dataloader(data, "test")
    assert loader is not None
    indices, batch = example_batch(loader, NUM_EXAMPLES)
    images, labels = require_images_and_labels(batch)
    arrays: dict[str, Any] = {
        "images": input_pixels(images, _normalization(data, loader.dataset)),
        "labels": labels.cpu().numpy().astype(np.int64),
        "indices": np.array(indices, np.int64),
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
