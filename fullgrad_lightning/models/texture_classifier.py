"""TextureClassifier: the network of the demo, as small as textures on 32×32 images allow."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fullgrad_lightning.datamodules.shapes.datamodule import ShapesSample

LEARNING_RATE = 4e-3


class TextureClassifier(pl.LightningModule):
    """Four convolutions and the maximum over space: (N, 3, H, W) -> (N, K).

    With the maximum, a class is decided by the position with the strongest evidence, so saliency
    maps can be compared with the position of the object. With the mean, every position adds to the
    logits, the background too.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int = 8) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(64, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits

    def training_step(self, batch: ShapesSample, batch_idx: int) -> Tensor:
        loss = cross_entropy(self(batch.image), batch.label)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: ShapesSample, batch_idx: int) -> None:
        right = self(batch.image).argmax(1) == batch.label
        self.log("val/accuracy", right.float().mean(), prog_bar=True, batch_size=len(right))

    def test_step(self, batch: ShapesSample, batch_idx: int) -> None:
        logits = self(batch.image)
        right = logits.argmax(1) == batch.label
        self.log("test/accuracy", right.float().mean(), batch_size=len(right))
        self.log("test/loss", cross_entropy(logits, batch.label), batch_size=len(right))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.AdamW(self.parameters(), LEARNING_RATE)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
