"""What callbacks share that keep predictions by the number of their sample, and go on after a kill.

Shapes: N samples of a batch.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_info
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import Tensor

from fullgrad_lightning.callbacks.base.batches import structure
from fullgrad_lightning.callbacks.base.trainer_access import check_unsharded, is_fast_dev_run
from fullgrad_lightning.stores.base import ResultStore, Rows


class ResumablePredictionWriter(BasePredictionWriter, ABC):
    """Writes what ``trainer.predict`` predicts into a store, of the rows that it lacks.

    The data module hands out (rows (N,), batch) of its ``splits`` and takes ``only_rows``:
    ``ROARDataModule`` or ``IndexedSplitDataModule``. Processes write rows of their own and wait
    for each other once, at the end.

    Args:
        place: Where the store is, for messages.
        predicted: Keys of what ``predict_step`` must return.
        remedy: Which module does.
    """

    def __init__(self, place: str, predicted: set[str], remedy: str) -> None:
        super().__init__("batch")
        self._place, self._predicted, self._remedy = place, predicted, remedy
        self._store: ResultStore | None = None
        self._splits: Sequence[str] = ()

    @abstractmethod
    def open_store(self, trainer: pl.Trainer, module: Any, data: Any) -> ResultStore:
        """Makes or opens the store; raises where it was made from something else."""

    @abstractmethod
    def values_of(self, prediction: dict[str, Any], split: str) -> Tensor:
        """What is stored of a prediction, (N, …)."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Makes or opens the store, and has the data leave out what it holds."""
        if stage != "predict":
            return
        check_unsharded(trainer, self)
        super().setup(trainer, pl_module, stage)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        # Not told by its class: `lightning` has a DataModule of its own.
        if not callable(getattr(data, "only_rows", None)):
            name = "none" if data is None else type(data).__name__
            raise TypeError(
                f"{type(self).__name__} needs a data module whose rows have numbers, got {name}. "
                f"Call trainer.predict({self._remedy}, datamodule=ROARDataModule(base))."
            )
        store = self.open_store(trainer, pl_module, data) if not is_fast_dev_run(trainer) else None
        trainer.predict_loop.return_predictions = False
        self._splits, self._store = data.splits, store
        if store is None:
            return
        missing = self._missing(store)
        data.only_rows(missing)
        if not any(map(len, missing.values())):  # Lightning runs none of its loops then
            rank_zero_info(f"{self._place} is complete already: nothing to compute.")
            if trainer.is_global_zero:
                store.finish()

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Writes a batch of predictions to their rows."""
        if not isinstance(prediction, dict) or not prediction.keys() >= self._predicted:
            raise TypeError(
                f"{type(self).__name__} needs predict_step to return a dict of "
                f"{sorted(self._predicted)}, got {structure(prediction)}. Use {self._remedy}."
            )
        split = self._splits[dataloader_idx]
        values = self.values_of(prediction, split)
        if self._store is not None:
            self._store.write(split, prediction["index"].cpu(), values)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Completes the store, when all processes have written what they had."""
        trainer.strategy.barrier(type(self).__name__)
        if self._store is None or not trainer.is_global_zero:
            return
        left = {split: len(rows) for split, rows in self._missing(self._store).items() if len(rows)}
        if not left:
            self._store.finish()
            return
        sizes = self._store.sizes
        lacking = ", ".join(f"{n} of {sizes[split]} of {split}" for split, n in left.items())
        warnings.warn(
            f"{self._place} is not complete and cannot be read yet: it lacks {lacking} rows. The "
            "same again, without limit_predict_batches, computes only those.",
            stacklevel=2,
        )

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Has the data hand out all rows again."""
        data: Any = getattr(trainer, "datamodule", None)
        if stage == "predict" and callable(getattr(data, "only_rows", None)):
            data.only_rows({})

    def _missing(self, store: ResultStore) -> dict[str, Rows]:
        return {split: store.missing(split) for split in self._splits}
