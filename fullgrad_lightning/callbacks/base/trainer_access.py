"""Helpers around the Trainer for the callbacks, with the private attribute that they depend on.

Two packages offer the same Trainer, ``pytorch_lightning`` and ``lightning``. A class of one is not
an instance of the other's, so classes are compared by their names.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.utils import _pytree as pytree

_SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy", "XLAFSDPStrategy")


def check_unsharded(trainer: pl.Trainer, callback: object) -> None:
    """Checks that every process holds the whole network: no FSDP, DeepSpeed, model parallelism."""
    names = [base.__name__ for base in type(trainer.strategy).__mro__]
    sharded = [name for name in names if name in _SHARDED]
    if sharded:
        raise ValueError(
            f"{type(callback).__name__} needs the whole network in every process, but the Trainer "
            f"shards it ({sharded[0]}). Use strategy='ddp' or one device, or explain a checkpoint "
            "afterwards with trainer.validate on one device."
        )


def logging_step(trainer: pl.Trainer) -> int:
    """Returns the step at which Lightning logs scalars; ``trainer.global_step`` is one ahead."""
    # Private, and the only attribute that has it: LearningRateMonitor reads it too.
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


def is_fast_dev_run(trainer: pl.Trainer) -> bool:
    """Returns whether the Trainer runs in ``fast_dev_run`` mode, in which no files are written."""
    return bool(getattr(trainer, "fast_dev_run", False))


def log_folder(trainer: pl.Trainer) -> Path:
    """Returns the folder of the run's logs. A collective: all processes must call it together."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def loader_suffix(trainer: pl.Trainer, dataloader_idx: int) -> str:
    """Returns the end of logged keys where there are several loaders; it is Lightning's own."""
    return f"/dataloader_idx_{dataloader_idx}" if len(_running_dataloaders(trainer)) > 1 else ""


def dataset_size(trainer: pl.Trainer, dataloader_idx: int) -> int | None:
    """Returns the size of a loader's data set, if it has a length; the loader must exist."""
    loaders = _running_dataloaders(trainer)
    if dataloader_idx >= len(loaders):
        raise ValueError(
            f"dataloader_idx={dataloader_idx} is out of range: there are only {len(loaders)} "
            "loaders."
        )
    try:
        return len(getattr(loaders[dataloader_idx], "dataset", None))  # type: ignore[arg-type]
    except TypeError:
        return None


def num_reachable_samples(trainer: pl.Trainer, dataloader_idx: int) -> int | None:
    """Returns the number of samples that one validation visits, limits included, if it is known."""
    loader = _running_dataloaders(trainer)[dataloader_idx]
    num_batches = _num_batches(trainer, dataloader_idx)
    batch_size = getattr(loader, "batch_size", None)
    if batch_size is None:  # a batch sampler of the user's
        batch_size = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    size = dataset_size(trainer, dataloader_idx)
    if math.isinf(num_batches) or batch_size is None:
        return size
    visited = int(num_batches) * int(batch_size) * int(trainer.world_size)
    return visited if size is None else min(visited, size)


def is_last_batch(trainer: pl.Trainer, batch_idx: int, dataloader_idx: int) -> bool:
    """Returns whether a batch is the last of its loader; never for a loader without a length."""
    num_batches = _num_batches(trainer, dataloader_idx)
    return not math.isinf(num_batches) and batch_idx + 1 >= num_batches


def dataset_positions(trainer: pl.Trainer, seen: int, n: int, size: int | None) -> list[int | None]:
    """Returns the positions in the data set of the n samples after the ``seen`` of this process.

    Lightning's distributed sampler deals samples out in turn, and repeats some at the end so that
    all processes have the same number: those have no position. Positions follow the order of the
    loader, so they are those of the data set unless the loader shuffles.
    """
    first, step = seen * int(trainer.world_size) + int(trainer.global_rank), int(trainer.world_size)
    positions = range(first, first + n * step, step)
    return [None if size is not None and position >= size else position for position in positions]


def all_reduce_sum(trainer: pl.Trainer, module: pl.LightningModule, values: Tensor) -> Tensor:
    """Returns the sum over all processes, on the CPU. A collective."""
    if trainer.world_size == 1:
        return values.detach().cpu()
    device = module.device  # of NCCL's processes, a GPU
    total = trainer.strategy.reduce(values.detach().to(device, copy=True), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total.cpu()


def _running_dataloaders(trainer: pl.Trainer) -> list[Any]:
    """Returns the validation or test loaders that are running, ordered by ``dataloader_idx``."""
    loaders = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    return list(pytree.tree_leaves(loaders))


def _num_batches(trainer: pl.Trainer, dataloader_idx: int) -> float:
    num_batches = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
    return num_batches[dataloader_idx] if isinstance(num_batches, list) else num_batches
