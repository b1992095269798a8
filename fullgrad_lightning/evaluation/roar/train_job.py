"""A cell: one training from new random weights, and its accuracy on the test set.

python -m fullgrad_lightning.evaluation.roar.train_job FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullgrad_lightning.evaluation.roar.jobs import REFERENCE, RESULT, read_description
from fullgrad_lightning.evaluation.roar.worker import run_job, versions
from fullgrad_lightning.utilities.files import atomic_write

if TYPE_CHECKING:
    import pytorch_lightning as pl


def train_cell(folder: Path, started: float) -> None:
    """Trains what ``cell.json`` says, or goes on with it, and writes ``result.json``.

    Args:
        folder: The cell's.
        started: ``time.time()`` when its process was started.

    Raises:
        ValueError: A test metric named accuracy is missing; and all that data, model and Trainer
            raise.
    """
    cell = read_description(folder)
    label = cell["label"]
    # Here, and not above: the process watches its parent before it imports torch.
    from fullgrad_lightning.evaluation.roar.components import make
    from fullgrad_lightning.evaluation.roar.epoch_checkpoint import (
        EpochCheckpoint,
        readable_checkpoint,
    )
    from fullgrad_lightning.evaluation.roar.epoch_sampler import seed_everything
    from fullgrad_lightning.evaluation.roar.epoch_seeding import EpochSeededDataModule
    from fullgrad_lightning.evaluation.roar.logged_metrics import find_accuracy, find_loss

    seed_everything("weights", label["seed"])
    parts = make(cell["data"], cell["model"], cell["trainer"])
    masked = _masked(parts.data, cell["masking"], folder, label["seed"])
    data = EpochSeededDataModule(masked, label["seed"])
    last = EpochCheckpoint(folder, started)
    trainer = _trainer(parts.trainer, folder, last)
    checkpoint = readable_checkpoint(last.path)
    trainer.fit(parts.model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    # All processes run over the whole test set: a distributed sampler would count some twice.
    (metrics, *_) = trainer.test(parts.model, datamodule=data, verbose=False)
    if not trainer.is_global_zero:
        return
    seconds = last.seconds
    result = {
        "label": label,
        "identity": cell["identity"],
        "test_accuracy": find_accuracy(metrics),
        "test_loss": find_loss(metrics),
        "epochs": trainer.current_epoch,
        "seconds": {**seconds, "outside": seconds["total"] - seconds["training"]},
        "versions": versions(),
    }
    atomic_write(folder / RESULT, json.dumps(result, indent=2) + "\n")
    if label["method"] != REFERENCE:  # the maps of later methods need the reference's alone
        last.path.unlink()


def _masked(
    base: pl.LightningDataModule, masking: dict[str, Any] | None, folder: Path, seed: int
) -> pl.LightningDataModule:
    if masking is None:
        return base
    from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule

    options = {key: masking[key] for key in ("fraction", "order", "remove", "fill", "mask_only")}
    # Of the grid's folder, so that it may be moved; a store of the user's has an absolute path.
    store = folder.absolute().parent.parent / masking["store"]
    return ROARDataModule(base, store, **options, seed=seed)


def _trainer(options: dict[str, Any], folder: Path, last: pl.Callback) -> pl.Trainer:
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

    from fullgrad_lightning.evaluation.roar.epoch_checkpoint import AtomicCheckpointIO
    from fullgrad_lightning.evaluation.roar.epoch_seeding import EpochSeeding
    from fullgrad_lightning.evaluation.roar.example_writer import ExampleWriter

    # Deterministic operations, where there are some, without a check that costs time: memory that
    # was not written to would be filled with NaN.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    board = TensorBoardLogger(folder, name="logs")  # a version for each time the cell is started
    own = [ExampleWriter(folder / "examples.npz"), EpochSeeding(), last]
    usual = {"deterministic": "warn", "num_sanity_val_steps": 0, "enable_model_summary": False}
    return pl.Trainer(
        **{
            **usual,
            "enable_progress_bar": False,
            **options,
            "callbacks": [*_listed(options.get("callbacks")), *own],
            "plugins": [*_listed(options.get("plugins")), AtomicCheckpointIO()],
        },
        default_root_dir=folder,
        logger=[board, CSVLogger(folder, name="logs", version=board.version)],
        use_distributed_sampler=False,
    )


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


if __name__ == "__main__":
    sys.exit(run_job(train_cell, sys.argv[1:]))
