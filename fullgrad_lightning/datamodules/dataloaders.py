"""Copies of a user's DataLoader with another data set or sampler, all else the same."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler

_WORKER_OPTIONS = (
    "num_workers", "pin_memory", "timeout", "multiprocessing_context", "prefetch_factor",
    "in_order", "worker_init_fn",
)  # fmt: skip


def split_dataloader(base: pl.LightningDataModule, split: str) -> DataLoader[Any] | None:
    """Returns the checked loader of a split of a data module that is set up, if it has one."""
    if not is_overridden(f"{split}_dataloader", base):
        return None
    loader = getattr(base, f"{split}_dataloader")()
    if loader is None or loader == []:
        return None
    return check_dataloader(loader, f"{type(base).__name__}.{split}_dataloader")


def check_dataloader(loader: object, hook: str) -> DataLoader[Any]:
    """Returns what a hook returned if it can be copied: a loader of batches of a map-style set."""
    if not isinstance(loader, DataLoader):
        raise TypeError(
            f"{hook} must return one DataLoader, got a {type(loader).__name__}. Of several "
            "loaders, join the data sets (ConcatDataset), or make a data module for each."
        )
    if type(loader).__iter__ is not DataLoader.__iter__:
        raise TypeError(
            f"{hook} returned a {type(loader).__name__}, whose own __iter__ would be lost in a "
            "copy with another data set or sampler. Return a torch.utils.data.DataLoader."
        )
    if isinstance(loader.dataset, IterableDataset) or not hasattr(loader.dataset, "__len__"):
        raise TypeError(
            f"The {type(loader.dataset).__name__} of {hook} has no length and no indices, so no "
            "sample can be identified. Use a map-style data set (__getitem__ and __len__)."
        )
    if loader.batch_sampler is None:
        raise TypeError(f"{hook} loads samples without batches (batch_size=None): set batch_size.")
    return loader


def replace_dataset(loader: DataLoader[Any], dataset: Any) -> DataLoader[Any]:
    """Returns the same loader of another data set: order, batches, workers and all.

    The sampler is the same object, so both loaders draw their order from the same generator. The
    loader is not iterated, so no random number is drawn.
    """
    return _copy(loader, dataset, sampler_of(loader), loader.generator, loader.persistent_workers)


def replace_sampler(
    loader: DataLoader[Any], sampler: Sampler[Any], generator: torch.Generator
) -> DataLoader[Any]:
    """Returns the same loader in another order, with workers that live for one epoch.

    The sampler yields indices, or batches of them, as ``sampler_of(loader)`` does; the workers'
    seeds are drawn from the generator.
    """
    return _copy(loader, loader.dataset, sampler, generator, persistent_workers=False)


def sampler_of(loader: DataLoader[Any]) -> Any:
    """Returns a loader's sampler, or a batch sampler of the user's own."""
    return loader.sampler if _batches_by_itself(loader) else loader.batch_sampler


def worker_options(loader: DataLoader[Any]) -> dict[str, Any]:
    """Returns the arguments of a loader that concern its worker processes."""
    return {name: getattr(loader, name) for name in _WORKER_OPTIONS}


def _copy(
    loader: DataLoader[Any],
    dataset: Any,
    sampler: Any,
    generator: torch.Generator | None,
    persistent_workers: bool,
) -> DataLoader[Any]:
    options = worker_options(loader) | {"batch_sampler": sampler}
    if _batches_by_itself(loader):
        options = worker_options(loader) | {
            "sampler": sampler, "batch_size": loader.batch_size, "drop_last": loader.drop_last,
        }  # fmt: skip
    return DataLoader(
        dataset,
        collate_fn=loader.collate_fn,
        generator=generator,
        persistent_workers=persistent_workers,
        **options,
    )


def _batches_by_itself(loader: DataLoader[Any]) -> bool:
    return type(loader.batch_sampler) is BatchSampler
