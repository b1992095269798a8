"""Small data and a small network that has every kind of randomness, and may kill processes."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from fullgrad_lightning.datamodules.shapes.datamodule import ShapesDataModule
from fullgrad_lightning.datamodules.transforms import image_transform

KILL = "PLANTED_KILL"
"""Environment variable: a file of lines ``WHO FOLDER EPOCH BATCH``; WHO is "cell" or "driver",
FOLDER what the name of the cell begins with. Each is done once."""


class Jitter(nn.Module):
    """Noise from the three generators that augmentations draw from."""

    def forward(self, image: Tensor) -> Tensor:
        number = random.random() + np.random.random()
        return image + 0.05 * number * torch.randn(image.shape)


class AugmentedShapes(ShapesDataModule):
    """Shuffled and augmented by two workers, on images of 16 pixels."""

    def __init__(self, train_size: int = 64, num_workers: int = 2) -> None:
        super().__init__(16, train_size, 8, 61, batch_size=16, num_workers=num_workers)

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        if self.train_set is not None:
            augmentation = [v2.RandomHorizontalFlip(), Jitter()]
            self.train_set.transform = image_transform(
                self.mean, self.std, augmentation=augmentation
            )


class DropoutNet(pl.LightningModule):
    """Two layers, batch norm and dropout; SGD with momentum and a schedule by epochs.

    Args:
        num_classes: K.
        fails: Raises an error in training.
        plateau: Uses ReduceLROnPlateau instead.
    """

    def __init__(self, num_classes: int = 8, fails: bool = False, plateau: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.fails, self.plateau = fails, plateau
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
            nn.Dropout(0.3), nn.Linear(8 * 49, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        if self.fails:
            raise ArithmeticError("planted failure")
        kill_as_asked(Path(self.trainer.default_root_dir), self.current_epoch, batch_idx)
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("loss", loss, on_epoch=True)
        return loss

    def test_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        logits = self(batch[0])
        right = (logits.argmax(1) == batch[1]).float().mean()
        self.log("test_acc", right, batch_size=len(batch[1]))
        self.log("test_loss", nn.functional.cross_entropy(logits, batch[1]))

    def configure_optimizers(self) -> object:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)
        if self.plateau:
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=0.3, patience=0, threshold=10.0
            )
            return {"optimizer": optimizer, "lr_scheduler": schedule, "monitor": "loss"}
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.7)]


class NoAccuracy(DropoutNet):
    """Logs none."""

    def test_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        self.log("test_loss", self(batch[0]).sum())


def kill_as_asked(folder: Path, epoch: int, batch_idx: int) -> None:
    """Does what the file in the environment says for this moment, once; in the first process."""
    if KILL not in os.environ or os.environ.get("LOCAL_RANK", "0") != "0":
        return
    path = Path(os.environ[KILL])
    lines = path.read_text().splitlines()
    for line in lines:
        who, name, when, batch = line.split()
        if folder.name.startswith(name) and (epoch, batch_idx) == (int(when), int(batch)):
            path.write_text("\n".join(other for other in lines if other != line))
            os.kill(os.getppid() if who == "driver" else os.getpid(), signal.SIGKILL)
            time.sleep(60)  # an orphan ends here, rather than with its last epoch
