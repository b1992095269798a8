"""The checkpoint of a training at the end of its last epoch, written atomically."""

from __future__ import annotations

import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from fullgrad_lightning.evaluation.roar.jobs import CHECKPOINT
from fullgrad_lightning.utilities.files import atomic_path


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in the same folder and renames it.

    Lightning writes to the system's temporary folder and moves the file; across file systems a move
    is a copy, which a kill can leave incomplete.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Saves the checkpoint; ``storage_options`` are not used."""
        with atomic_path(Path(path)) as unfinished:
            torch.save(checkpoint, unfinished)


class EpochCheckpoint(pl.callbacks.Checkpoint):
    """Saves ``last.ckpt`` at each epoch's end, and measures the seconds that training takes.

    ``started`` is ``time.time()`` when the process was started.
    """

    def __init__(self, folder: Path, started: float) -> None:
        self.path = folder / CHECKPOINT
        self.started = started
        self._earlier = {"total": 0.0, "training": 0.0}
        self._training_began: float | None = None
        self._trained = 0.0
        self._plateau: dict[str, float] = {}

    @property
    def seconds(self) -> dict[str, float]:
        """``{"total": …, "training": …}`` of this run and the earlier ones that it resumes."""
        now = time.time()
        running = 0.0 if self._training_began is None else now - self._training_began
        return {
            "total": self._earlier["total"] + now - self.started,
            "training": self._earlier["training"] + self._trained + running,
        }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock; steps the schedulers that Lightning steps after a checkpoint."""
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
        """Saves the checkpoint; Lightning calls checkpoint callbacks after all others."""
        trainer.save_checkpoint(self.path, weights_only=False)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds state that Lightning does not save: that a callback (EarlyStopping) has stopped the
        training, and the value for the next step of a ReduceLROnPlateau."""
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
        """Restores the added state."""
        saved = checkpoint["fullgrad_roar"]
        self._earlier = saved["seconds"]
        trainer.should_stop = saved["stopped"]
        self._plateau = saved["plateau"]


def readable_checkpoint(path: Path) -> Path | None:
    """Returns the path if the checkpoint there can be read, else ``None``.

    An unreadable checkpoint is removed, with a warning: the training starts from the beginning.
    """
    if not path.exists():
        return None
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        warnings.warn(
            f"{path} cannot be read ({error}), so the training starts from the beginning.",
            stacklevel=2,
        )
        path.unlink()
        return None
    return path
