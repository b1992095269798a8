"""The state of a training at the end of its last epoch, in a file that is whole or not there."""

from __future__ import annotations

import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from fullgrad_lightning.utilities.files import atomic_path

NAME = "last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, and renames it.

    Lightning's own writes to the system's temporary folder and *moves* the file, which is a copy,
    of which a kill leaves the half, where the two are on different file systems.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Saves it; ``storage_options`` are not used."""
        with atomic_path(Path(path)) as unfinished:
            torch.save(checkpoint, unfinished)


class EpochCheckpoint(pl.callbacks.Checkpoint):
    """Saves ``last.ckpt`` at each epoch's end, and counts the seconds that training took.

    Args:
        folder: Where to.
        started: ``time.time()`` at which the process was started.

    Attributes:
        seconds: ``{"total": …, "training": …}`` of this run and, up to the checkpoint that it goes
            on from, of those before it.
    """

    def __init__(self, folder: Path, started: float) -> None:
        self.path = folder / NAME
        self.started = started
        self.before = {"total": 0.0, "training": 0.0}
        self._training_began: float | None = None
        self._trained = 0.0
        self._plateau: dict[str, float] = {}

    @property
    def seconds(self) -> dict[str, float]:
        now = time.time()
        running = 0.0 if self._training_began is None else now - self._training_began
        return {
            "total": self.before["total"] + now - self.started,
            "training": self.before["training"] + self._trained + running,
        }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock, and does what Lightning does after a checkpoint at an epoch's end."""
        self._training_began = time.time()
        for config in trainer.lr_scheduler_configs:
            if config.reduce_on_plateau and config.monitor in self._plateau:
                scheduler: Any = config.scheduler
                scheduler.step(self._plateau[config.monitor])
        self._plateau = {}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops the clock."""
        if self._training_began is not None:
            self._trained += time.time() - self._training_began
            self._training_began = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the state; after all other callbacks, as Lightning has it for checkpoints."""
        trainer.save_checkpoint(self.path, weights_only=False)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds what Lightning forgets: that a callback (EarlyStopping) has ended the training, and
        what a ReduceLROnPlateau is about to see."""
        checkpoint["fullgrad_roar"] = {
            "seconds": self.seconds,
            "stopped": trainer.should_stop,
            "plateau": {
                str(config.monitor): float(trainer.callback_metrics[str(config.monitor)])
                for config in trainer.lr_scheduler_configs
                if config.reduce_on_plateau
                and config.interval == "epoch"
                and (trainer.current_epoch + 1) % config.frequency == 0
                and config.monitor in trainer.callback_metrics
            },
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes it up again."""
        saved = checkpoint["fullgrad_roar"]
        self.before = saved["seconds"]
        trainer.should_stop = saved["stopped"]
        self._plateau = saved["plateau"]


def readable_checkpoint(path: Path) -> Path | None:
    """The path, if there is a checkpoint that can be read; one that cannot is removed, with a
    warning: the training starts afresh.
    """
    if not path.exists():
        return None
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        warnings.warn(
            f"{path} cannot be read ({error}), so the training starts afresh.", stacklevel=2
        )
        path.unlink()
        return None
    return path
