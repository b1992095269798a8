"""A cell: one training from new random weights, and its accuracy on the test set.

python -m fullgrad_lightning.evaluation.roar.train_job FOLDER
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullgrad_lightning.evaluation.roar.jobs import (
    EXAMPLES,
    REFERENCE,
    grid_folder,
    read_description,
)
from fullgrad_lightning.evaluation.roar.worker import run_job, write_result

if TYPE_CHECKING:
    import pytorch_lightning as pl

_ACCURACY = re.compile(r"accuracy|(?<![a-z])acc(?![a-z])", re.IGNORECASE)


def train_cell(folder: Path, started: float) -> None:
    """Runs or resumes the training described by a cell's ``cell.json`` and writes ``result.json``.

    ``started`` is ``time.time()`` when its process was started.

    Raises:
        ValueError: A test metric named accuracy is missing; data, model and Trainer raise others.
    """
    cell = read_description(folder)
    label = cell["label"]
    # Imported here: the process watches its parent before it imports torch.
    import pytorch_lightning as pl

    from fullgrad_lightning.evaluation.components import instantiate_components
    from fullgrad_lightning.evaluation.roar.epoch_checkpoint import (
        EpochCheckpoint,
        readable_checkpoint,
    )
    from fullgrad_lightning.evaluation.roar.epoch_sampler import seed_everything
    from fullgrad_lightning.evaluation.roar.epoch_seeding import EpochSeededDataModule

    seed_everything("weights", label["seed"])
    components = instantiate_components(cell["data"], cell["model"], cell["trainer"])
    model = components.model
    assert isinstance(model, pl.LightningModule)
    masked = _mask(components.data, cell["masking"], folder, label["seed"])
    data = EpochSeededDataModule(masked, label["seed"])
    last = EpochCheckpoint(folder, started)
    trainer = _trainer(components.trainer, folder, last)
    checkpoint = readable_checkpoint(last.path)
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    # All processes run over the whole test set: a distributed sampler would count some twice.
    (metrics, *_) = trainer.test(model, datamodule=data, verbose=False)
    if not trainer.is_global_zero:
        return
    seconds = last.seconds
    result = {
        "test_accuracy": find_accuracy(metrics),
        "test_loss": find_loss(metrics),
        "epochs": trainer.current_epoch,
        "seconds": {**seconds, "outside": seconds["total"] - seconds["training"]},
    }
    write_result(folder, cell, result)
    if label["method"] != REFERENCE:  # saliency maps are computed from the reference alone
        last.path.unlink()


def find_accuracy(metrics: Mapping[str, float]) -> float:
    """Returns ``test/accuracy``, or the first metric with "accuracy" or the word "acc" in its name.

    Raises:
        ValueError: No metric has such a name, or its value is not in 0…1.

    Examples:
        >>> find_accuracy({"test_loss": 0.5, "test_acc": 0.75})
        0.75
    """
    names = [name for name in metrics if _ACCURACY.search(name)]
    if not names:
        raise ValueError(
            "The model logs no test accuracy, which a ROAR grid compares. Log it in test_step, as "
            f'"test/accuracy". Logged metrics: {", ".join(metrics) or "none"}.'
        )
    name = "test/accuracy" if "test/accuracy" in names else names[0]
    value = float(metrics[name])
    if not 0 <= value <= 1:
        raise ValueError(f"The test accuracy {name!r} must be in 0…1, got {value}.")
    return value


def find_loss(metrics: Mapping[str, float]) -> float | None:
    """Returns ``test/loss``, or the first metric with "loss" in its name.

    ``None`` if no metric has such a name, or its value is not finite.

    Examples:
        >>> find_loss({"test_loss": 0.5, "test_acc": 0.75})
        0.5
    """
    names = [name for name in metrics if "loss" in name.lower()]
    if not names:
        return None
    value = float(metrics["test/loss" if "test/loss" in names else names[0]])
    return value if math.isfinite(value) else None


def _mask(
    base: pl.LightningDataModule, masking: dict[str, Any] | None, folder: Path, seed: int
) -> pl.LightningDataModule:
    if masking is None:
        return base
    from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule

    options = {key: masking[key] for key in ("fraction", "order", "remove", "fill", "mask_only")}
    # Relative to the grid's folder, which may be moved; a user's own store has an absolute path.
    return ROARDataModule(base, grid_folder(folder) / masking["store"], **options, seed=seed)


def _trainer(options: dict[str, Any], folder: Path, last: pl.Callback) -> pl.Trainer:
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

    from fullgrad_lightning.evaluation.roar.epoch_checkpoint import AtomicCheckpointIO
    from fullgrad_lightning.evaluation.roar.epoch_seeding import EpochSeeding
    from fullgrad_lightning.evaluation.roar.example_writer import ExampleWriter

    # Deterministic operations where they exist, without a check that costs time: uninitialised
    # memory would be filled with NaN.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    board = TensorBoardLogger(folder, name="logs")  # one version for each start of the cell
    callbacks = [ExampleWriter(folder / EXAMPLES), EpochSeeding(), last]
    defaults = {
        "deterministic": "warn", "num_sanity_val_steps": 0, "enable_model_summary": False,
        "enable_progress_bar": False,
    }  # fmt: skip
    return pl.Trainer(
        **{
            **defaults,
            **options,
            "callbacks": [*_as_list(options.get("callbacks")), *callbacks],
            "plugins": [*_as_list(options.get("plugins")), AtomicCheckpointIO()],
        },
        default_root_dir=folder,
        logger=[board, CSVLogger(folder, name="logs", version=board.version)],
        use_distributed_sampler=False,
    )


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


if __name__ == "__main__":
    sys.exit(run_job(train_cell, sys.argv[1:]))
