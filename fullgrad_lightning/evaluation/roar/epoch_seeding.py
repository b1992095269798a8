"""Trainings that a kill and a resume do not change, bit by bit.

Lightning's checkpoints hold no random state. Here none is needed: each epoch depends on the seed,
its number, and the checkpoint before it alone. It takes a data module whose training order is
seeded, the callback that seeds all else, checkpoints at the ends of epochs, and
``Trainer(use_distributed_sampler=False)``.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from fullgrad_lightning.datamodules.dataloaders import (
    check_dataloader,
    replace_sampler,
    sampler_of,
)
from fullgrad_lightning.datamodules.delegation import DelegatingDataModule
from fullgrad_lightning.evaluation.roar.epoch_sampler import EpochSampler, seed_everything


class EpochSeededDataModule(DelegatingDataModule):
    """The loaders of another data module; the order of training follows from (seed, epoch).

    Workers of the training loader live for one epoch: those that live longer hold random numbers
    that no checkpoint has.

    Args:
        base: The data module.
        seed: The seed of the training.
    """

    def __init__(self, base: pl.LightningDataModule, seed: int) -> None:
        super().__init__(base)
        self.seed = seed
        self._sampler: EpochSampler | None = None
        if base.hparams:  # Lightning logs and stores them as without the wrapper
            self.save_hyperparameters(dict(base.hparams), logger=base._log_hyperparams)

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns base's training loader in a seeded order.

        Raises:
            TypeError: Not one DataLoader of a map-style data set, or one with a sampler for
                several processes.
        """
        hook = f"{type(self.base).__name__}.train_dataloader"
        loader = check_dataloader(self.base.train_dataloader(), hook)
        if isinstance(loader.sampler, DistributedSampler):
            raise TypeError(
                f"{hook} returned a loader with a DistributedSampler, but the training deals its "
                "samples out itself. Use shuffle=True or any sampler for one process."
            )
        epoch, rank, world_size = 0, 0, 1
        if self.trainer is not None:
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
            # The first iterator of a run is made, and its workers start, before any hook of the
            # epoch; and `trainer.current_epoch` is one behind until a resumed run begins.
            progress: Any = self.trainer.fit_loop.epoch_progress.current
            epoch = int(progress.processed)
        self._sampler = EpochSampler(
            sampler_of(loader), seed=self.seed, epoch=epoch, rank=rank, world_size=world_size
        )
        return replace_sampler(loader, self._sampler, self._sampler.generator)

    def val_dataloader(self) -> Any:
        """Returns base's validation loader, if any."""
        return self.base.val_dataloader() if is_overridden("val_dataloader", self.base) else []

    def test_dataloader(self) -> Any:
        """Returns base's test loader."""
        return self.base.test_dataloader()

    def seed_epoch(self, epoch: int, rank: int) -> None:
        """Seeds the order of the epoch, and the global generators for (seed, epoch, process)."""
        seed_everything("epoch", self.seed, epoch, rank)
        if self._sampler is not None:
            self._sampler.set_epoch(epoch)


class EpochSeeding(pl.Callback):
    """Calls ``seed_epoch`` of an ``EpochSeededDataModule`` at the start of each training epoch."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds the epoch. After the first epoch of a run, the iterator is made only now."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        data.seed_epoch(trainer.current_epoch, trainer.global_rank)
