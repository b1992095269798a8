"""Base class of callbacks that store predictions by row number and resume after an interruption."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_info
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import Tensor

from fullgrad_lightning.callbacks.base.trainer_access import check_unsharded, is_fast_dev_run
from fullgrad_lightning.datamodules.indexed_batches import IndexedDataModule
from fullgrad_lightning.stores.base import ResultStore, Rows
from fullgrad_lightning.utilities.describe import describe


class ResumablePredictionWriter(BasePredictionWriter, ABC):
    """Writes the predictions of ``trainer.predict`` into a store, for the rows that it lacks.

    The data module has ``splits``, whose prediction loaders yield (rows (N,), batch), and restricts
    them to the rows of ``only_rows(rows)``: ``ROARDataModule`` or ``IndexedSplitDataModule``. Each
    process writes rows of its own; they wait for each other once, at the end.

    Args:
        location: Path or name of the store, for messages.
        keys: Keys of the dict that ``predict_step`` must return; ``"index"`` is one of them.
        remedy: A module whose ``predict_step`` returns them, for error messages.
    """

    def __init__(self, location: str, keys: set[str], remedy: str) -> None:
        super().__init__("batch")
        self._location, self._keys, self._remedy = location, keys, remedy
        self._store: ResultStore | None = None
        self._splits: Sequence[str] = ()

    @abstractmethod
    def open_store(self, trainer: pl.Trainer, module: Any, data: IndexedDataModule) -> ResultStore:
        """Creates or opens the store; raises ``StoreMismatch`` if it was made from other data."""

    @abstractmethod
    def extract_values(self, prediction: dict[str, Any], split: str) -> Tensor:
        """Returns the values to store of a prediction, (N, …)."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Creates or opens the store, and restricts the data to the rows that it lacks."""
        if stage != "predict":
            return
        check_unsharded(trainer, self)
        super().setup(trainer, pl_module, stage)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        # Not by its class: `lightning` has a DataModule of its own.
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
            rank_zero_info(f"{self._location} is complete already: nothing to compute.")
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
        if not isinstance(prediction, dict) or not prediction.keys() >= self._keys:
            raise TypeError(
                f"{type(self).__name__} needs predict_step to return a dict of "
                f"{sorted(self._keys)}, got {describe(prediction)}. Use {self._remedy}."
            )
        split = self._splits[dataloader_idx]
        values = self.extract_values(prediction, split)
        if self._store is not None:
            self._store.write(split, prediction["index"].cpu(), values)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Marks the store as complete when all processes have written their rows."""
        trainer.strategy.barrier(type(self).__name__)
        if self._store is None or not trainer.is_global_zero:
            return
        missing = self._missing(self._store)
        if not any(map(len, missing.values())):
            self._store.finish()
            return
        sizes = self._store.sizes
        counts = [f"{len(rows)} of {sizes[s]} of {s}" for s, rows in missing.items() if len(rows)]
        warnings.warn(
            f"{self._location} is not complete and cannot be read yet: it lacks "
            f"{', '.join(counts)} rows. Run the same command again, without "
            "limit_predict_batches: it computes only those.",
            stacklevel=2,
        )

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lifts the restriction of the data."""
        data: Any = getattr(trainer, "datamodule", None)
        if stage == "predict" and callable(getattr(data, "only_rows", None)):
            data.only_rows({})

    def _missing(self, store: ResultStore) -> dict[str, Rows]:
        return {split: store.missing(split) for split in self._splits}
