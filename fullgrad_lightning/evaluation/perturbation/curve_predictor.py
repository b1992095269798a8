"""A LightningModule whose predictions are curves of a score, and the callback that stores them.

Shapes: N samples of a batch; M values of a sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fullgrad_lightning.callbacks.base.prediction_writer import ResumablePredictionWriter
from fullgrad_lightning.datamodules.indexed_batches import predicted_split, read_indexed_batch
from fullgrad_lightning.evaluation.perturbation.scores import Score
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.stores.curve_store import CurveStore
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.targets import TargetSpec


class CurvePredictor(pl.LightningModule):
    """Predicts the curves of each sample of an ``IndexedSplitDataModule`` from stored ranks.

    The curves of a sample are the same in any batch or process, up to rounding; networks run in
    eval mode and outside autocast.
    """

    def __init__(
        self, model: nn.Module, score: Score, ranks: RankStore, *, target: TargetSpec, seed: int
    ) -> None:
        super().__init__()
        self.model, self.score, self.ranks = model, score, ranks
        self.target, self.seed = target, seed

    def predict_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Returns ``"index"``, row numbers (N,) on the CPU, and ``"curves"``, (N, M) float64."""
        split = predicted_split(self.trainer, dataloader_idx)
        rows, images, target = read_indexed_batch(batch, self.target)
        with torch.autocast(images.device.type, enabled=False):
            curves = self.score.curves(
                self.model, images, self.ranks.ranks(split, rows).to(images.device),
                target=target, sample_ids=sample_ids(split, rows.tolist(), self.seed),
            )  # fmt: skip
        return {"index": rows, "curves": curves}


class CurveWriter(ResumablePredictionWriter):
    """Stores the predictions of a ``CurvePredictor`` as a series of a ``CurveStore``."""

    def __init__(self, path: Path, series: str) -> None:
        super().__init__(f"{series} in {path}", {"index", "curves"}, "CurvePredictor(…)")
        self.path, self.series = path, series

    def open_store(self, trainer: pl.Trainer, module: CurvePredictor, data: Any) -> CurveStore:
        """Opens the store, which is created if necessary."""
        return open_curve_store(self.path, self.series, module.score, module.ranks, module.target)

    def extract_values(self, prediction: dict[str, Any], split: str) -> Tensor:
        """Returns the curves, (N, M)."""
        curves: Tensor = prediction["curves"]
        return curves.cpu()


def open_curve_store(
    path: Path, series: str, score: Score, ranks: RankStore, target: TargetSpec
) -> CurveStore:
    """Opens the store of a series, whose provenance includes that of the ranks.

    Raises:
        StoreMismatch: The series was created with different settings.
    """
    ((split, size),) = ranks.sizes.items()
    made_from = {**score.made_from, "target": target, "ranks": ranks.made_from}
    return CurveStore(
        path, series, split=split, columns=score.columns, size=size, made_from=made_from
    )
