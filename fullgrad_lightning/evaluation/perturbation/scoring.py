"""A LightningModule whose predictions are scores, and the callback that keeps them.

Shapes: N samples of a batch; M numbers of a sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fullgrad_lightning.callbacks.base.prediction_writer import ResumablePredictionWriter
from fullgrad_lightning.evaluation.perturbation.scores import Score, joined
from fullgrad_lightning.models.batches import numbered
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.stores.curve_store import CurveStore
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.targets import TargetSpec


class PerturbationScorer(pl.LightningModule):
    """Predicts the scores of each sample of an ``IndexedSplitDataModule`` from stored ranks.

    A sample's scores are the same in whatever batch or process they are computed, up to rounding;
    networks run in eval mode and outside autocast.

    Args:
        model: Images (N, C, H, W) to logits (N, K).
        score: What is computed.
        ranks: Of the same samples, complete.
        target: The class that is followed: ``"predicted"`` (the clean image's top class),
            ``"label"`` or an index.
        seed: Of noise.
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
        """``"index"``: row numbers (N,) on the CPU; ``"scores"``: (N, M) float64."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        split = data.splits[dataloader_idx]
        rows, images, target = numbered(batch, self.target)
        with torch.autocast(images.device.type, enabled=False):
            curves = self.score(
                self.model, images, self.ranks.ranks(split, rows).to(images.device),
                target=target, sample_ids=sample_ids(split, rows.tolist(), self.seed),
            )  # fmt: skip
        return {"index": rows, "scores": joined(curves, self.score)}


class ScoreWriter(ResumablePredictionWriter):
    """Keeps the predictions of a ``PerturbationScorer``.

    Args:
        path: File of the ``CurveStore``.
        series: Its name there.
    """

    def __init__(self, path: Path, series: str) -> None:
        super().__init__(f"{series} in {path}", {"index", "scores"}, "PerturbationScorer(…)")
        self.path, self.series = path, series

    def open_store(self, trainer: pl.Trainer, module: PerturbationScorer, data: Any) -> CurveStore:
        """Makes or opens the store."""
        return score_store(self.path, self.series, module.score, module.ranks, module.target)

    def values_of(self, prediction: dict[str, Any], split: str) -> Tensor:
        """The scores, (N, M)."""
        scores: Tensor = prediction["scores"]
        return scores.cpu()


def score_store(
    path: Path, series: str, score: Score, ranks: RankStore, target: TargetSpec
) -> CurveStore:
    """The store of a series; what its scores are made from follows from what its ranks were.

    Raises:
        StoreMismatch: It was made from something else.
    """
    ((split, size),) = ranks.sizes.items()
    made_from = {**score.made_from, "target": target, "ranks": ranks.made_from}
    return CurveStore(
        path, series, split=split, columns=score.columns, size=size, made_from=made_from
    )
