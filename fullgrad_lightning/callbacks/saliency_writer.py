"""SaliencyWriter: stores predicted saliency maps as ranks of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from fullgrad_lightning._version import __version__
from fullgrad_lightning.callbacks.base.prediction_writer import ResumablePredictionWriter
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.describe import abbreviate


class SaliencyWriter(ResumablePredictionWriter):
    """Writes the ranks of the pixels of all images of a ``ROARDataModule`` into a ``RankStore``.

    ``trainer.predict(SaliencyPredictor(…), datamodule=ROARDataModule(…))`` computes the rows that
    the store lacks, on any number of devices, and completes it: after an interruption the same
    command resumes. Each process writes rows of its own; they wait for each other once, at the end.
    Maps are not returned, whatever ``return_predictions`` says: those of a whole data set may not
    fit into memory. Nothing is written in ``fast_dev_run``, nor by other stages than ``predict``.

    Other modules than ``SaliencyPredictor`` need an attribute ``made_from``, a dict of all plain
    values that determine the maps, and a ``predict_step`` that returns a dict of ``"index"`` (N,),
    ``"sample_id"`` (N,) and ``"saliency"`` (N, 1, H, W).

    Args:
        store: Folder of the store.
        seed: Seed of the order of equally salient pixels.

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
        keys = {"index", "sample_id", "saliency"}
        super().__init__(str(store), keys, "SaliencyPredictor(model, method)")
        check_int("seed", seed)
        self.folder, self.seed = Path(store), seed

    def open_store(self, trainer: pl.Trainer, module: Any, data: Any) -> RankStore:
        """Creates or opens the store of ranks."""
        made_from = getattr(module, "made_from", None)
        if not isinstance(made_from, dict):
            raise TypeError(
                f"SaliencyWriter needs a module that predicts saliency maps, got "
                f"{type(module).__name__}. Wrap it: SaliencyPredictor(model, method)."
            )
        return RankStore.create(
            self.folder,
            sizes=data.sizes,
            shape=data.image_shape[1:],
            made_from={
                **made_from,
                "ties": self.seed,
                "precision": str(trainer.precision),
                "data": data.fingerprint,
                "versions": {"fullgrad_lightning": __version__},
            },
        )

    def extract_values(self, prediction: dict[str, Any], split: str) -> Tensor:
        """Returns the ranks of the pixels of a batch of maps, (N, H, W)."""
        rows, saliency = prediction["index"].cpu(), prediction["saliency"].cpu()
        finite = saliency.isfinite().flatten(1).all(1)
        if not finite.all():
            raise ValueError(
                f"The maps of rows {abbreviate(rows[~finite].tolist())} of split {split!r} hold "
                "NaN or infinity and have no ranks. Check these images, and that the network's "
                "logits are finite there. The rows that were written before are kept."
            )
        return rank_pixels(saliency, prediction["sample_id"].cpu(), seed=self.seed)
