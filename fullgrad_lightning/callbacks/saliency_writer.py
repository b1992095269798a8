"""SaliencyWriter: keeps predicted saliency maps as ranks of pixels, in a store."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_info
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import Tensor

import fullgrad_lightning
from fullgrad_lightning.callbacks.batches import structure
from fullgrad_lightning.callbacks.trainers import leaves_nothing, refuse_sharded
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.masking.store import RankStore

Rows = npt.NDArray[np.integer[Any]]
_PREDICTED = {"index", "sample_id", "saliency"}


class SaliencyWriter(BasePredictionWriter):
    """Writes the ranks of the pixels of all images of a ``ROARDataModule`` into a ``RankStore``.

    ``trainer.predict(SaliencyPredictor(…), datamodule=ROARDataModule(…))`` computes the rows that
    the store lacks, on any number of devices, and completes it: after a kill the same command goes
    on. Processes write rows of their own and wait for each other once, at the end. Maps are not
    returned, whatever ``return_predictions`` says: those of a whole data set may not fit memory.
    Nothing is written in ``fast_dev_run``, and nothing is done but in ``predict``.

    The module may be another than ``SaliencyPredictor``: its ``made_from`` must tell, in plain
    values, what determines its maps, and its ``predict_step`` return a dict of ``"index"`` (N,),
    ``"sample_id"`` (N,) and ``"saliency"`` (N, 1, H, W).

    Args:
        store: Its folder.
        seed: Of the order of pixels that are equally salient.

    Raises:
        TypeError: In ``setup``, other data or another module than these; in ``predict``, other
            predictions.
        ValueError: In ``setup``, a strategy that shards the network, or a store that was made from
            anything else (``StoreMismatch``: another method, checkpoint, data, …); in ``predict``,
            maps that are not finite, named by split and row.

    Examples:
        >>> trainer = pl.Trainer(callbacks=[SaliencyWriter("maps/fullgrad")], logger=False,
        ...                      accelerator="cpu")
    """

    def __init__(self, store: str | Path, *, seed: int = 0) -> None:
        super().__init__("batch")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"seed must be an integer, got {seed!r}.")
        self.folder, self.seed = Path(store), seed
        self._store: RankStore | None = None
        self._splits: Sequence[str] = ()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Makes or opens the store, and has the data leave out what it holds."""
        if stage != "predict":
            return
        refuse_sharded(trainer, self)
        super().setup(trainer, pl_module, stage)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        made_from = _made_from(pl_module, data)
        trainer.predict_loop.return_predictions = False
        self._splits = data.splits
        self._store = None
        if leaves_nothing(trainer):
            return
        self._store = RankStore.create(
            self.folder,
            sizes=data.sizes,
            shape=data.image_shape[1:],
            made_from={
                **made_from,
                "ties": self.seed,
                "precision": str(trainer.precision),
                "data": data.fingerprint,
                "versions": {"fullgrad_lightning": fullgrad_lightning.__version__},
            },
        )
        missing = self._missing(self._store)
        data.only_rows(missing)
        if not any(map(len, missing.values())):  # Lightning runs none of its loops then
            rank_zero_info(f"{self.folder} holds all maps already: nothing to compute.")
            if trainer.is_global_zero:
                self._store.finish()

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
        """Ranks the pixels of a batch of maps and writes them to their rows."""
        if not isinstance(prediction, dict) or not prediction.keys() >= _PREDICTED:
            raise TypeError(
                f"SaliencyWriter needs predict_step to return a dict of {sorted(_PREDICTED)}, got "
                f"{structure(prediction)}. Use SaliencyPredictor."
            )
        split, rows = self._splits[dataloader_idx], prediction["index"].cpu()
        saliency: Tensor = prediction["saliency"].cpu()
        finite = saliency.isfinite().flatten(1).all(1)
        if not finite.all():
            raise ValueError(
                f"The maps of rows {_shown(rows[~finite])} of split {split!r} hold NaN or infinity "
                "and have no ranks. Look at these images: are the network's logits finite there? "
                "What was written before stays."
            )
        ranks = rank_pixels(saliency, prediction["sample_id"].cpu(), seed=self.seed)
        if self._store is not None:
            self._store.write(split, rows, ranks)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Completes the store, when all processes have written what they had."""
        trainer.strategy.barrier("SaliencyWriter")
        if self._store is None or not trainer.is_global_zero:
            return
        left = {split: len(rows) for split, rows in self._missing(self._store).items() if len(rows)}
        if not left:
            self._store.finish()
            return
        sizes = self._store.sizes
        lacking = ", ".join(f"{n} of {sizes[split]} of {split}" for split, n in left.items())
        warnings.warn(
            f"{self.folder} is not complete and cannot be read yet: it lacks {lacking} rows. The "
            "same again, without limit_predict_batches, computes only those.",
            stacklevel=2,
        )

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Has the data hand out all rows again."""
        if stage == "predict":
            trainer.datamodule.only_rows({})  # type: ignore[attr-defined]

    def _missing(self, store: RankStore) -> dict[str, Rows]:
        return {split: store.missing(split) for split in self._splits}


def _made_from(module: Any, data: Any) -> dict[str, Any]:
    """What determines a module's maps, if it is one that makes some of data with row numbers."""
    # Not told by their classes: `lightning` has a LightningModule and a DataModule of its own.
    if not callable(getattr(data, "only_rows", None)):
        name = "none" if data is None else type(data).__name__
        raise TypeError(
            f"SaliencyWriter needs a data module whose rows have numbers, got {name}. Call "
            "trainer.predict(SaliencyPredictor(…), datamodule=ROARDataModule(base))."
        )
    made_from = getattr(module, "made_from", None)
    if not isinstance(made_from, dict):
        raise TypeError(
            f"SaliencyWriter needs a module that predicts saliency maps, got "
            f"{type(module).__name__}. Wrap it: SaliencyPredictor(model, method)."
        )
    return made_from


def _shown(rows: Tensor) -> str:
    return ", ".join(map(str, rows[:10].tolist())) + (", …" if len(rows) > 10 else "")
