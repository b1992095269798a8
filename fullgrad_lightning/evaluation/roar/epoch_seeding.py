"""A callback that makes a resumed training the same, bit by bit, as one that was not killed."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from fullgrad_lightning.evaluation.roar.epoch_sampler import EpochSampler, reproducible_loader
from fullgrad_lightning.evaluation.roar.seeding import seed_everything


class EpochSeeding(pl.Callback):
    """Has each epoch depend on the seed, its number, and the checkpoint before it alone.

    Lightning's checkpoints hold no random state. Here none is needed: at the start of each epoch
    the generators of Python, NumPy, torch and its devices are seeded from (seed, epoch, process),
    and the training loader draws order and workers' seeds likewise. Needs a LightningDataModule,
    checkpoints at the ends of epochs, and ``Trainer(use_distributed_sampler=False)``.

    Args:
        seed: Of the training.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._sampler: EpochSampler | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Puts itself between the data module and the Trainer.

        Raises:
            TypeError: When the loader is asked for, see ``reproducible_loader``.
        """
        if stage != "fit":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        original = data.train_dataloader

        def train_dataloader() -> object:
            loader, self._sampler = reproducible_loader(
                original(),
                f"{type(data).__name__}.train_dataloader",
                seed=self.seed,
                epoch=_next_epoch(trainer),
                rank=trainer.global_rank,
                world_size=trainer.world_size,
            )
            return loader

        data.train_dataloader = train_dataloader

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leaves the data module as it was."""
        if stage == "fit":
            vars(trainer.datamodule).pop("train_dataloader", None)  # type: ignore[attr-defined]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds everything. After the first epoch of a run, the iterator is made only now."""
        seed_everything("epoch", self.seed, trainer.current_epoch, trainer.global_rank)
        if self._sampler is not None:
            self._sampler.set_epoch(trainer.current_epoch)


def _next_epoch(trainer: pl.Trainer) -> int:
    # The first iterator of a run is made, and its workers start, before any hook of the epoch; and
    # `trainer.current_epoch` is one behind until a resumed run begins.
    progress: Any = trainer.fit_loop.epoch_progress.current
    return int(progress.processed)
