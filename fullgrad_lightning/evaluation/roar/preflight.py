"""Finds what is wrong with a grid before anything is trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from fullgrad_lightning.datamodules.dataloaders import split_dataloader
from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
from fullgrad_lightning.datamodules.roar.dataset_checks import FINGERPRINT_SAMPLES, fetch_samples
from fullgrad_lightning.evaluation.components import instantiate_components
from fullgrad_lightning.evaluation.roar.config import ResolvedGrid
from fullgrad_lightning.evaluation.roar.epoch_seeding import EpochSeededDataModule
from fullgrad_lightning.evaluation.roar.jobs import Job
from fullgrad_lightning.evaluation.roar.train_job import find_accuracy
from fullgrad_lightning.models.saliency_predictor import SaliencyPredictor
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.describe import describe
from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages
from fullgrad_lightning.utilities.samples import require_images, require_images_and_labels


def preflight(grid: ResolvedGrid, jobs: Sequence[Job]) -> str:
    """Sets the data up, and runs model, methods and stores on two samples.

    Returns one line about the disk space that the maps need.

    Raises:
        ValueError, TypeError, FileNotFoundError: Something is wrong; the text has the remedy.
        OSError: The disk has not enough space for the maps.
    """
    components = instantiate_components(grid.data, grid.model, grid.trainer)
    components.data.prepare_data()
    data = ROARDataModule(components.data)
    data.setup("predict")
    # Raises if the epochs cannot be seeded.
    EpochSeededDataModule(components.data, seed=0).train_dataloader()
    if "test" not in data.splits:
        raise ValueError(
            f"{type(components.data).__name__} has no test_dataloader, and a grid reports test "
            "accuracy."
        )
    _check_stores(grid, data)
    loader = split_dataloader(components.data, "test")
    assert loader is not None
    with torch.random.fork_rng(devices=[]):
        _check_model(components.model.eval(), components.data, loader)
        _check_methods(grid, components.model, data)
    return _check_space(Path(grid.output), jobs, data)


def _check_stores(grid: ResolvedGrid, data: ROARDataModule) -> None:
    for path in {spec.store for spec in grid.specs} - {None}:
        masked = ROARDataModule(data.base, path)
        masked.setup("test")  # complete, and ranks of these images
        RankStore.open(Path(str(path)).expanduser()).verify()


def _check_model(model: nn.Module, base: pl.LightningDataModule, loader: DataLoader[Any]) -> None:
    two = Subset(loader.dataset, [0, 1 % len(cast(Sized, loader.dataset))])
    logits = model(require_images(loader.collate_fn([two[0], two[1]])))
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ValueError(
            f"The model must return logits (N, K) for a batch of images, got {describe(logits)}."
        )
    _check_num_classes(logits.shape[1], base, loader)
    batches = DataLoader(two, batch_size=2, collate_fn=loader.collate_fn)
    with suppress_lightning_messages():
        trainer = pl.Trainer(
            accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        module = cast(pl.LightningModule, model)
        (metrics, *_) = trainer.test(module, dataloaders=batches, verbose=False)
    find_accuracy(metrics)


def _check_num_classes(
    num_logits: int, base: pl.LightningDataModule, loader: DataLoader[Any]
) -> None:
    name, num_classes = type(base).__name__, getattr(base, "num_classes", None)
    if isinstance(num_classes, int) and num_logits < num_classes:
        raise ValueError(
            f"The model returns {num_logits} logits, but {name} has {num_classes} classes."
        )
    # Not every data module has num_classes; without logits for a label, losses raise.
    dataset = cast(Sized, loader.dataset)
    samples = fetch_samples(dataset, evenly_spaced_indices(len(dataset), FINGERPRINT_SAMPLES))
    _, labels = require_images_and_labels(loader.collate_fn(samples))
    is_index = labels.ndim == 1 and not labels.is_floating_point()
    if is_index and (largest := int(labels.max())) >= num_logits:
        raise ValueError(
            f"The model returns {num_logits} logits, but the test images of {name} have labels up "
            f"to {largest} at least. Give the model as many classes as the data has."
        )


def _check_methods(grid: ResolvedGrid, model: nn.Module, data: ROARDataModule) -> None:
    checkpoint = grid.reference and str(Path(grid.reference).expanduser())
    loader = data.predict_dataloader()[0]
    dataset: Any = loader.dataset
    batch = loader.collate_fn([dataset[0]])
    for spec in grid.specs:
        if spec.store is None:
            predictor = SaliencyPredictor(
                model, spec.method, spec.options, target=grid.target, checkpoint=checkpoint
            )
            predictor.explained(batch, data.splits[0])


def _check_space(output: Path, jobs: Sequence[Job], data: ROARDataModule) -> str:
    size = RankStore.bytes_needed(data.sizes, data.image_shape[1:])
    num_stores = sum(not (job.is_cell or job.is_done) for job in jobs)
    free = shutil.disk_usage(output).free
    text = (
        f"Saliency maps: {num_stores} stores to compute, {_format_bytes(num_stores * size)}; "
        f"{_format_bytes(free)} are free."
    )
    if num_stores * size > free:
        raise OSError(
            f"{text} Free some space, choose another output, or fewer methods or seeds: each of "
            f"them takes {_format_bytes(size)}."
        )
    return text


def _format_bytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"
