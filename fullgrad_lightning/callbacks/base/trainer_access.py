"""What callbacks must know of the Trainer beyond its public face, in one place.

Two packages offer the same Trainer, ``pytorch_lightning`` and ``lightning``, whose classes are not
each other's: they are told by their names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.utils import _pytree as pytree

_SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy", "XLAFSDPStrategy")


def check_unsharded(trainer: pl.Trainer, callback: object) -> None:
    """Refuses strategies that keep no process with a whole network.

    Raises:
        ValueError: FSDP, DeepSpeed or model parallelism.
    """
    names = [base.__name__ for base in type(trainer.strategy).__mro__]
    sharded = [name for name in names if name in _SHARDED]
    if sharded:
        raise ValueError(
            f"{type(callback).__name__} needs the whole network in every process, but the Trainer "
            f"shards it ({sharded[0]}). Use strategy='ddp' or one device, or explain a checkpoint "
            "afterwards with trainer.validate on one device."
        )


def logging_step(trainer: pl.Trainer) -> int:
    """The step at which Lightning logs scalars; ``trainer.global_step`` is one ahead of it."""
    # Private, and the only place that has it: LearningRateMonitor reads it here too.
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


def loader_suffix(trainer: pl.Trainer, dataloader_idx: int) -> str:
    """What keys end with, as Lightning's own do where there are several loaders."""
    return f"/dataloader_idx_{dataloader_idx}" if len(running_dataloaders(trainer)) > 1 else ""


def log_scalars(module: pl.LightningModule, numbers: dict[str, Tensor], suffix: str) -> None:
    """Logs numbers that are the same in every process, under their keys and this suffix."""
    named = {f"{key}{suffix}": value for key, value in numbers.items()}
    module.log_dict(named, add_dataloader_idx=False, batch_size=1)


def normalization(
    trainer: pl.Trainer, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float] | None, Sequence[float] | None]:
    """Mean and std of each channel: those given, else those of the DataModule; or neither."""
    if mean is None:
        data = getattr(trainer, "datamodule", None)
        mean, std = _numbers(data, "mean"), _numbers(data, "std")
    return (mean, std) if mean is not None and std is not None else (None, None)


def is_fast_dev_run(trainer: pl.Trainer) -> bool:
    """Whether this is a run to try the code out, ``fast_dev_run``, which writes no files."""
    return bool(getattr(trainer, "fast_dev_run", False))


def log_folder(trainer: pl.Trainer) -> Path:
    """The folder of the run's logs. A collective: all processes must ask together."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def running_dataloaders(trainer: pl.Trainer) -> list[Any]:
    """The validation or test loaders that are running, in the order of ``dataloader_idx``."""
    found = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    return list(pytree.tree_leaves(found))


def dataset_size(loader: Any) -> int | None:
    """Number of samples behind a loader; ``None`` if it does not tell."""
    dataset = getattr(loader, "dataset", None)
    try:
        return len(dataset)  # type: ignore[arg-type]
    except TypeError:
        return None


def size_of_watched(
    trainer: pl.Trainer, dataloader_idx: int, indices: Sequence[int] | None
) -> int | None:
    """The size of the data set of a loader; ``None`` if it does not tell.

    Raises:
        ValueError: There is no such loader, or it has no such indices.
    """
    running = running_dataloaders(trainer)
    if dataloader_idx >= len(running):
        raise ValueError(
            f"dataloader_idx={dataloader_idx} was to be watched, but there are only {len(running)} "
            "loaders."
        )
    size = dataset_size(running[dataloader_idx])
    if indices is not None and size is not None and max(indices) >= size:
        raise ValueError(f"indices go up to {max(indices)}, but the data set has {size} samples.")
    return size


def num_reachable_samples(trainer: pl.Trainer, dataloader_idx: int) -> int | None:
    """How many samples of the data set one validation passes, limits considered; if it is known."""
    loader = running_dataloaders(trainer)[dataloader_idx]
    batches = _batches(trainer, dataloader_idx)
    batch_size = getattr(loader, "batch_size", None)
    if batch_size is None:  # a batch sampler of the user's own
        batch_size = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    size = dataset_size(loader)
    if math.isinf(batches) or batch_size is None:
        return size
    passing = int(batches) * int(batch_size) * int(trainer.world_size)
    return passing if size is None else min(passing, size)


def is_last_batch(trainer: pl.Trainer, batch_idx: int, dataloader_idx: int) -> bool:
    """Whether the batch is the last of its loader; never for a loader without a length."""
    expected = _batches(trainer, dataloader_idx)
    return not math.isinf(expected) and batch_idx + 1 >= expected


def _batches(trainer: pl.Trainer, dataloader_idx: int) -> float:
    batches = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
    return batches[dataloader_idx] if isinstance(batches, list) else batches


def dataset_positions(trainer: pl.Trainer, seen: int, n: int, size: int | None) -> list[int | None]:
    """Where the next n samples of this process stand in the data set, in the order of the loader.

    Lightning's distributed sampler deals samples out in turn, and repeats some at the end so that
    all processes have as many: those have no position.

    Args:
        trainer: Tells how many processes there are.
        seen: Samples that this process has had before.
        n: Samples in the batch.
        size: Of the data set, if known.
    """
    found = [(seen + i) * int(trainer.world_size) + int(trainer.global_rank) for i in range(n)]
    return [None if size is not None and position >= size else position for position in found]


def all_reduce_sum(trainer: pl.Trainer, module: pl.LightningModule, values: Tensor) -> Tensor:
    """The sum over all processes, on the CPU. A collective: all processes must ask together."""
    if trainer.world_size == 1:
        return values.detach().cpu()
    device = module.device  # of NCCL's processes, a GPU
    total = trainer.strategy.reduce(values.detach().to(device, copy=True), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total.cpu()


def _numbers(source: object, name: str) -> Sequence[float] | None:
    values = getattr(source, name, None)
    if isinstance(values, Sequence) and values and all(isinstance(v, float) for v in values):
        return values
    return None
