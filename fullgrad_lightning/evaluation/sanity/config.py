"""What ``fullgrad sanity`` is asked for, and does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from tqdm import tqdm

from fullgrad_lightning.datamodules.indexed_batches import read_indexed_batch
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.evaluation.components import Components
from fullgrad_lightning.evaluation.config import ConfigError, EvaluationConfig
from fullgrad_lightning.evaluation.sanity.randomization_test import check_randomization
from fullgrad_lightning.evaluation.sanity.report import write_sanity_report
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages
from fullgrad_lightning.visualization import unnormalized


@dataclass(frozen=True, kw_only=True)
class SanityConfig(EvaluationConfig):
    """Checks whether saliency maps notice that the network forgets what it has learnt.

    Args:
        methods, split, checkpoint, target: See ``EvaluationConfig``.
        samples: How many images, evenly spread over the split; ``None``: all.
        seed: Of the new weights, and of methods that draw.
        output: Folder of the report, which is written anew each time.
        stages: How many stages, the first re-initialises the last layer alone, the last one all;
            ``None``: one for each layer.
        pictures: The maps of how many images are drawn.

    Raises:
        ConfigError: Anything that does not exist or is out of range.

    Examples:
        >>> SanityConfig(methods=["fullgrad", "sobel"]).stages
        8
    """

    samples: int | None = 16
    output: str = "runs/sanity"
    stages: int | None = 8
    pictures: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            check_int("pictures", self.pictures, 1)
            if self.stages is not None:
                check_int("stages", self.stages, 1)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def run_check(parts: Components[SanityConfig]) -> str:
    """Runs the check on one device, and writes its report; see ``write_sanity_report``.

    Args:
        parts: Of ``parse_study``; of the Trainer's arguments ``accelerator`` and ``devices`` count.

    Returns:
        The text to print.

    Raises:
        ConfigError: More than one device; data, or a method, that does not fit.
    """
    study = parts.study
    device = _device(parts.trainer)
    data = IndexedSplitDataModule(parts.data, study.split, samples=study.samples)
    silent = parts.trainer.get("enable_progress_bar") is False
    try:
        data.prepare_data()
        data.setup("predict")
        rows, images, target, batch_size = _samples(data, study)
        with tqdm(desc="stages × methods", disable=silent) as bar:

            def told(done: int, of: int) -> None:
                bar.total = of
                bar.update(done - bar.n)

            curves = check_randomization(
                parts.model.to(device),
                images.to(device),
                {e.name: saliency_method(e.method, **e.options) for e in study.entries},
                target=target.to(device) if isinstance(target, Tensor) else target,
                stages=study.stages,
                seed=study.seed,
                sample_ids=sample_ids(study.split, rows.tolist(), study.seed),
                batch_size=batch_size,
                pictures=study.pictures,
                progress=told,
            )
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    normalization = data.normalization
    mean, std = (normalization.mean, normalization.std) if normalization else (None, None)
    shown = unnormalized(images[: study.pictures], mean, std)
    return write_sanity_report(curves, shown, Path(study.output))


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


def _samples(
    data: IndexedSplitDataModule, study: SanityConfig
) -> tuple[Tensor, Tensor, Tensor | int | None, int]:
    """Row numbers (N,), images (N, C, H, W), the target, and the size of the largest batch."""
    found = [read_indexed_batch(batch, study.target) for batch in data.predict_dataloader()[0]]
    rows, images, targets = zip(*found, strict=True)
    labels = [target for target in targets if isinstance(target, Tensor)]
    target = torch.cat(labels) if labels else targets[0]
    return torch.cat(rows), torch.cat(images), target, max(map(len, rows))
