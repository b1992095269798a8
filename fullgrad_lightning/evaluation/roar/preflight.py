"""What can be wrong with a grid, found before anything is trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from fullgrad_lightning.datamodules.dataloaders import split_dataloader
from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
from fullgrad_lightning.datamodules.roar.dataset_checks import FINGERPRINT_SAMPLES, fetch_samples
from fullgrad_lightning.evaluation.roar.components import make
from fullgrad_lightning.evaluation.roar.config import GridConfig
from fullgrad_lightning.evaluation.roar.epoch_seeding import EpochSeededDataModule
from fullgrad_lightning.evaluation.roar.jobs import Job
from fullgrad_lightning.evaluation.roar.logged_metrics import find_accuracy
from fullgrad_lightning.models.saliency_predictor import SaliencyPredictor
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages
from fullgrad_lightning.utilities.samples import require_images, require_images_and_labels


def check(grid: GridConfig, jobs: Sequence[Job]) -> str:
    """Sets the data up, and tries model, methods and stores on two samples.

    Args:
        grid: Resolved.
        jobs: Its own.

    Returns:
        What the maps will need on the disk, as a line.

    Raises:
        ValueError, TypeError, FileNotFoundError: What is wrong, with the remedy.
        OSError: There is not enough room for the maps.
    """
    parts = make(grid.data, grid.model, grid.trainer)
    parts.data.prepare_data()
    data = ROARDataModule(parts.data)
    data.setup("predict")
    EpochSeededDataModule(parts.data, seed=0).train_dataloader()  # raises if it cannot be seeded
    if "test" not in data.splits:
        raise ValueError(
            f"{type(parts.data).__name__} has no test_dataloader, and a grid reports test accuracy."
        )
    _check_stores(grid, data)
    _check_model(grid, parts.model, parts.data, data)
    return _check_room(Path(grid.output), jobs, data)


def _check_stores(grid: GridConfig, data: ROARDataModule) -> None:
    for path in {entry.store for entry in grid.entries} - {None}:
        masked = ROARDataModule(data.base, path)
        masked.setup("test")  # complete, and ranks of these images
        RankStore.open(Path(str(path)).expanduser()).verify()


def _check_model(
    grid: GridConfig, model: pl.LightningModule, base: pl.LightningDataModule, data: ROARDataModule
) -> None:
    loader = split_dataloader(base, "test")
    assert loader is not None
    two = Subset(loader.dataset, [0, 1 % len(cast(Sized, loader.dataset))])
    few = DataLoader(two, batch_size=2, collate_fn=loader.collate_fn)
    batch = loader.collate_fn([two[0], two[1]])
    with torch.random.fork_rng(devices=[]):
        logits = model.eval()(require_images(batch))
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(f"The model must answer images with logits (N, K), got {got}.")
        classes = getattr(base, "num_classes", None)
        if isinstance(classes, int) and logits.shape[1] < classes:
            raise ValueError(
                f"The model answers with {logits.shape[1]} logits, but {type(base).__name__} has "
                f"{classes} classes."
            )
        _check_labels(logits.shape[1], type(base).__name__, loader)
        with suppress_lightning_messages():
            trial = pl.Trainer(
                accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
            (metrics, *_) = trial.test(model, dataloaders=few, verbose=False)
        find_accuracy(metrics)
        _check_methods(grid, model, data)


def _check_labels(logits: int, name: str, loader: DataLoader[Any]) -> None:
    """Not every data module tells its classes; without logits for a label, losses raise."""
    dataset = cast(Sized, loader.dataset)
    indices = evenly_spaced_indices(len(dataset), FINGERPRINT_SAMPLES)
    samples = fetch_samples(dataset, indices)
    _, labels = require_images_and_labels(loader.collate_fn(samples))
    if labels.ndim == 1 and not labels.is_floating_point() and (top := int(labels.max())) >= logits:
        raise ValueError(
            f"The model answers with {logits} logits, but the test images of {name} have labels up "
            f"to {top} at least. Give the model as many classes as the data has."
        )


def _check_methods(grid: GridConfig, model: pl.LightningModule, data: ROARDataModule) -> None:
    reference = grid.reference and str(Path(grid.reference).expanduser())
    loader = data.predict_dataloader()[0]
    dataset: Any = loader.dataset
    batch = loader.collate_fn([dataset[0]])
    for entry in grid.entries:
        if entry.store is None:
            target: Any = grid.target
            predictor = SaliencyPredictor(
                model, entry.method, entry.options, target=target, checkpoint=reference
            )
            predictor.explained(batch, data.splits[0])


def _check_room(output: Path, jobs: Sequence[Job], data: ROARDataModule) -> str:
    one = RankStore.bytes_needed(data.sizes, data.image_shape[1:])
    missing = sum(not (job.is_cell or job.done) for job in jobs)
    free = shutil.disk_usage(output).free
    text = f"Maps: {missing} to estimate, {_gigabytes(missing * one)}; {_gigabytes(free)} are free."
    if missing * one > free:
        raise OSError(
            f"{text} Make room, choose another output, or fewer methods or seeds: each of them "
            f"takes {_gigabytes(one)}."
        )
    return text


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"
