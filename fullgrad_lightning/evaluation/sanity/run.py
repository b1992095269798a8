"""Runs ``fullgrad sanity``: the randomisation test on the images of a data module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from tqdm import tqdm

from fullgrad_lightning.datamodules.indexed_batches import read_indexed_batch
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.evaluation.components import Components
from fullgrad_lightning.evaluation.config import ConfigError, config_errors
from fullgrad_lightning.evaluation.sanity.config import SanityConfig
from fullgrad_lightning.evaluation.sanity.randomization_test import check_randomization
from fullgrad_lightning.evaluation.sanity.report import write_sanity_report
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages
from fullgrad_lightning.visualization import unnormalized


def run_check(config: SanityConfig, components: Components) -> str:
    """Runs the check on one device, writes its report and returns the text to print.

    Of the Trainer's arguments ``accelerator``, ``devices`` and ``enable_progress_bar`` are used.

    Raises:
        ConfigError: More than one device; data or a method that does not fit.
    """
    device = _device(components.trainer)
    data = IndexedSplitDataModule(components.data, config.split, samples=config.samples)
    hides_bar = components.trainer.get("enable_progress_bar") is False
    with config_errors():
        data.prepare_data()
        data.setup("predict")
        rows, images, target, batch_size = _load_samples(data, config)
        with tqdm(desc="stages × methods", disable=hides_bar) as bar:

            def update(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            curves = check_randomization(
                components.model.to(device),
                images.to(device),
                {s.name: saliency_method(s.method, **s.options) for s in config.specs},
                target=target.to(device) if isinstance(target, Tensor) else target,
                stages=config.stages,
                seed=config.seed,
                sample_ids=sample_ids(config.split, rows.tolist(), config.seed),
                batch_size=batch_size,
                pictures=config.pictures,
                progress=update,
            )
    normalization = data.normalization
    mean, std = (normalization.mean, normalization.std) if normalization else (None, None)
    shown = unnormalized(images[: config.pictures], mean, std)
    return write_sanity_report(curves, shown, Path(config.output))


def _device(arguments: dict[str, Any]) -> torch.device:
    with suppress_lightning_messages():
        trainer = pl.Trainer(
            **{
                "devices": 1, "logger": False, "enable_checkpointing": False,
                "enable_model_summary": False, **arguments,
            }
        )  # fmt: skip
    if trainer.world_size > 1:
        raise ConfigError(
            f"The check runs on one device, got {trainer.world_size}. Set trainer.devices to 1."
        )
    return trainer.strategy.root_device


def _load_samples(
    data: IndexedSplitDataModule, config: SanityConfig
) -> tuple[Tensor, Tensor, Tensor | int | None, int]:
    """Row numbers (N,), images (N, C, H, W), the target, and the size of the largest batch."""
    batches = [read_indexed_batch(batch, config.target) for batch in data.predict_dataloader()[0]]
    rows, images, targets = zip(*batches, strict=True)
    labels = [target for target in targets if isinstance(target, Tensor)]
    target = torch.cat(labels) if labels else targets[0]
    return torch.cat(rows), torch.cat(images), target, max(map(len, rows))
