"""What FullGradMonitor adds to an epoch: ``fit`` with and without it, in turn.

    python -m benchmarks.monitor --data path/to/cifar100-as-image-folder [--epochs 5]

The folder holds ``train/<class>/*.png`` and ``test/<class>/*.png``, 32×32. The network is the
9-layer VGG of the paper, an epoch has 10,000 images, a validation 1,000. Both trainings run epoch
by epoch in turn (A B A B), so that a machine that slows down slows both; the first epoch, with its
imports and warm-up, is told apart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

import fullgrad_lightning as fgl

IMAGES, VALIDATION, BATCH = 10_000, 1_000, 100


class EpochByEpoch:
    """A training that runs one epoch whenever it is asked to."""

    def __init__(self, data: Path, logs: Path, *callbacks: pl.Callback) -> None:
        pl.seed_everything(0)
        self.data = fgl.ImageFolderDataModule(data, size=32, batch_size=BATCH, num_workers=0)
        self.model = fgl.ImageClassifier("vgg9", num_classes=100)
        self.trainer = pl.Trainer(
            max_epochs=0,
            accelerator="auto",
            devices=1,
            logger=TensorBoardLogger(logs),
            callbacks=list(callbacks),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_train_batches=IMAGES // BATCH,
            limit_val_batches=VALIDATION // BATCH,
        )

    def epoch(self) -> float:
        """Seconds of one more epoch with its validation."""
        self.trainer.fit_loop.max_epochs += 1
        start = time.perf_counter()
        self.trainer.fit(self.model, datamodule=self.data)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = EpochByEpoch(options.data, Path(folder, "plain"))
        watched = EpochByEpoch(options.data, Path(folder, "watched"), fgl.FullGradMonitor(8))
        pairs = [(plain.epoch(), watched.epoch()) for _ in range(options.epochs + 1)]
    print(f"an epoch of {IMAGES} images, validation of {VALIDATION}: without, with, ratio")
    for number, (a, b) in enumerate(pairs):
        print(f"{number}: {a:.2f} s  {b:.2f} s  {b / a:.4f}", flush=True)
    ratio = statistics.median(b / a for a, b in pairs[1:])
    print(f"median without the first: {ratio:.4f}, first: {pairs[0][1] / pairs[0][0]:.4f}")


if __name__ == "__main__":
    main()
