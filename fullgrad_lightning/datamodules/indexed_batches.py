"""Samples with their row numbers: what data, predictors and writers of predictions agree on.

Shapes: N samples of a batch, (C, H, W) of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from fullgrad_lightning.datamodules.dataloaders import worker_options
from fullgrad_lightning.datamodules.roar.dataset_checks import check_shape, fetch_samples
from fullgrad_lightning.datamodules.roar.sample_images import get_image, replace_image
from fullgrad_lightning.datamodules.transforms import Transform
from fullgrad_lightning.utilities.describe import describe
from fullgrad_lightning.utilities.samples import batch_labels, require_images
from fullgrad_lightning.utilities.targets import TargetSpec, resolve_target


class IndexedBatch(NamedTuple):
    """A batch as the loader's ``collate_fn`` builds it, and its samples' positions in the split."""

    rows: Tensor  # (N,) int64
    batch: Any


class IndexedDataModule(Protocol):
    """Data modules whose predictions can be stored by row, and resumed.

    ``SaliencyPredictor`` reads ``splits``, ``SaliencyWriter`` all of these. ``ROARDataModule`` and
    ``IndexedSplitDataModule`` have them; any LightningDataModule may.
    """

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, one for each loader of ``predict_dataloader``."""

    @property
    def sizes(self) -> dict[str, int]:
        """Number of samples of each split."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of all images."""

    @property
    def fingerprint(self) -> str:
        """A hash that differs for other samples."""

    def predict_dataloader(self) -> list[DataLoader[Any]]:
        """Loaders of ``IndexedBatch``, in order and without augmentation."""

    def only_rows(self, rows: Mapping[str, Sequence[int]]) -> None:
        """Restricts ``predict_dataloader`` to these rows; splits without an entry are complete."""


class IndexedDataset(Dataset[tuple[int, Any]]):
    """Pairs (index, sample), without augmentation.

    Args:
        view: Map-style data set of samples with prepared images.
        shape: (C, H, W) of a prepared image.
        split: The split's name, for errors.
        evaluation: From a prepared image to the network's input.
    """

    def __init__(
        self, view: Any, shape: tuple[int, int, int], *, split: str, evaluation: Transform
    ) -> None:
        self.view, self.shape, self.split, self.evaluation = view, shape, split, evaluation

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        (sample,) = fetch_samples(self.view, [index])
        image = get_image(sample)
        check_shape(image, self.shape, self.split, index)
        return index, replace_image(sample, self.evaluation(image))


def indexed_dataloader(
    dataset: IndexedDataset,
    like: DataLoader[Any],
    rows: Sequence[int] | None,
    trainer: pl.Trainer | None,
) -> DataLoader[Any]:
    """Builds a loader of ``IndexedBatch`` of some rows or all, in order.

    Batch size, workers and ``collate_fn`` are those of another loader. Lightning does not deal out
    fewer samples than there are processes: then some are repeated.
    """
    processes = 1 if trainer is None else int(trainer.world_size)
    if rows is not None and len(rows) < processes:
        rows = (list(rows) * processes)[:processes]
    return DataLoader(
        dataset if rows is None else Subset(dataset, rows),
        batch_size=like.batch_size or 64,  # None: a batch sampler of the user's own
        collate_fn=partial(_collate, collate_samples=like.collate_fn),
        **worker_options(like),
    )


def read_indexed_batch(
    batch: object, target: TargetSpec = "predicted"
) -> tuple[Tensor, Tensor, Tensor | int | None]:
    """Returns rows, images and the class to explain of an ``IndexedBatch``, or a pair like one.

    Rows (N,) are on the CPU; images are (N, C, H, W); the class is ``None`` (the top class of each
    image), the labels (N,), or an index.
    """
    rows, content = batch if isinstance(batch, tuple | list) and len(batch) == 2 else (None, None)
    if not isinstance(rows, Tensor) or rows.ndim != 1 or rows.dtype != torch.int64:
        raise TypeError(
            "A batch must be (row numbers (N,), batch), as ROARDataModule.predict_dataloader() "
            f"yields, got {describe(batch)}."
        )
    return rows.cpu(), require_images(content), resolve_target(target, batch_labels(content))


def predicted_split(trainer: pl.Trainer, dataloader_idx: int) -> str:
    """Returns the name of the split that a loader of the prediction belongs to."""
    # No check of its class: `lightning`, the other package, has a LightningDataModule of its own.
    splits = getattr(getattr(trainer, "datamodule", None), "splits", None)
    if splits is None:
        raise TypeError(
            "Predictions by row need a data module with row numbers: call trainer.predict("
            "predictor, datamodule=ROARDataModule(…))."
        )
    name: str = splits[dataloader_idx]
    return name


def _collate(
    pairs: Sequence[tuple[int, Any]], collate_samples: Callable[[list[Any]], Any]
) -> IndexedBatch:
    indices, samples = zip(*pairs, strict=True)
    return IndexedBatch(torch.tensor(indices), collate_samples(list(samples)))
