"""Time that FullGradMonitor adds to an epoch: ``fit`` with and without it, in turn.

    python -m benchmarks.monitor --data path/to/cifar100-as-image-folder [--epochs 3]

The folder holds ``train/<class>/*.png`` and ``test/<class>/*.png``, 32×32. The network is the
9-layer VGG of the paper, an epoch has 10,000 images, a validation 1,000. Three trainings run epoch
by epoch in turn: without, without again as a control, and with the monitor. Before them each runs
one short epoch, whose validation pays for imports and for the choice of samples. The difference of
two epochs drowns in the noise of a shared machine, as the control shows: the time spent in the
monitor's own hooks is measured too. Each epoch is a ``fit`` of its own, so its film strip is drawn
each time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

import fullgrad_lightning as fgl

VALIDATION, BATCH, WARM_UP = 1_000, 100, 500


def timed(monitor: fgl.FullGradMonitor) -> list[float]:
    """Records the seconds of each call of a monitor's hooks in the list that it returns."""
    seconds: list[float] = []

    def call(hook: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return hook(*arguments, **named)
        finally:
            seconds.append(time.perf_counter() - start)

    for name in dir(pl.Callback):
        if name.startswith("on_") or name == "setup":
            setattr(monitor, name, partial(call, getattr(monitor, name)))
    return seconds


class EpochByEpoch:
    """A training that runs epoch by epoch."""

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
            limit_val_batches=VALIDATION // BATCH,
        )

    def epoch(self, images: int) -> float:
        """Runs one more epoch with its validation; returns its seconds."""
        self.trainer.limit_train_batches = images // BATCH
        self.trainer.fit_loop.max_epochs += 1
        start = time.perf_counter()
        self.trainer.fit(self.model, datamodule=self.data)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000, help="in an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    monitor = fgl.FullGradMonitor(8)
    hooks, shares = timed(monitor), []
    seconds: dict[str, list[float]] = {"without": [], "control": [], "with": []}
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            name: EpochByEpoch(options.data, Path(folder, name), *callbacks)
            for name, callbacks in (("without", ()), ("control", ()), ("with", (monitor,)))
        }
        for run in runs.values():
            run.epoch(WARM_UP)
        print(f"first validation: {sum(hooks):.2f} s in the monitor", flush=True)
        print(f"an epoch of {options.images} images, validation of {VALIDATION}, in seconds:")
        order = list(runs)
        for number in range(options.epochs):
            hooks.clear()
            for name in order:
                seconds[name].append(runs[name].epoch(options.images))
            shares.append(sum(hooks) / seconds["without"][-1])
            line = ", ".join(f"{name} {seconds[name][-1]:.2f}" for name in runs)
            print(f"{number}: {line}; in the monitor {sum(hooks):.2f}", flush=True)
            order.append(order.pop(0))
    for name in ("control", "with"):
        pairs = zip(seconds[name], seconds["without"], strict=True)
        print(f"{name} / without: {statistics.median(a / b for a, b in pairs):.4f}")
    print(f"in the monitor: {statistics.median(shares):.2%} of an epoch")


if __name__ == "__main__":
    main()
