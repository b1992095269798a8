"""A small estimate of maps, also as a command that is killed:

python -m tests.callbacks.estimating <store> <batch at which the process kills itself>
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter
from fullgrad_lightning.datamodules import ShapesDataModule
from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
from fullgrad_lightning.models import SaliencyPredictor
from tests.callbacks.training import network, trainer

SIZES, SHAPE = {"train": 12, "val": 5, "test": 7}, (16, 16)
BATCH = 3


class Counted(pl.Callback):
    """Keeps which rows were computed, of each loader."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int]] = []

    def on_predict_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int, loader: int = 0
    ) -> None:
        self.rows += [(loader, row) for row in outputs["index"].tolist()]


class Killed(pl.Callback):
    """Ends the process, as ``kill -9`` does, when batch number ``at`` is computed, not written."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_predict_batch_end(self, *_: Any, **__: Any) -> None:
        if self.at == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.at -= 1


class Failing(pl.Callback):
    """Raises when batch number ``at`` is to be computed."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_predict_batch_start(self, *_: Any, **__: Any) -> None:
        if self.at == 0:
            raise RuntimeError("in the middle")
        self.at -= 1


def images(store: Path | None = None, **options: Any) -> ROARDataModule:
    """Images that are drawn; masked where there is a store of their ranks."""
    sizes = {f"{split}_size": n for split, n in SIZES.items()}
    base = ShapesDataModule(**{"size": SHAPE[0], "batch_size": BATCH, **sizes, **options})
    return ROARDataModule(base, store)


def predictor(method: str = "fullgrad", seed: int = 0, **options: Any) -> SaliencyPredictor:
    """Always with the same weights, in float64: which pixel is first must not hang on rounding."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SaliencyPredictor(network(), method, seed=seed, **options)


def estimate(
    store: Path, *callbacks: pl.Callback, module: Any = None, data: Any = None, **options: Any
) -> list[tuple[int, int]]:
    """Predicts into a store; returns which rows were computed, as (loader, row)."""
    counted = Counted()
    run = trainer(
        store.parent, *callbacks, SaliencyWriter(store), counted,
        **{"precision": "64-true", **options},
    )  # fmt: skip
    answer = run.predict(module or predictor(), datamodule=data or images())
    assert answer is None
    return counted.rows


def contents(store: Path) -> dict[str, bytes]:
    """The bytes of a store's ranks."""
    return {path.name: path.read_bytes() for path in sorted(store.glob("*.ranks.npy"))}


if __name__ == "__main__":
    estimate(Path(sys.argv[1]), Killed(int(sys.argv[2])))
