"""DataLoaders like a user's own, of other data sets."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import BatchSampler, DataLoader, IterableDataset


def loader_of(base: pl.LightningDataModule, split: str) -> DataLoader[Any] | None:
    """The loader that a data module has for a split; ``None`` if it has none.

    Args:
        base: After its ``setup``.
        split: ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        TypeError: Not a single ``DataLoader`` of batches of a map-style data set, or one that does
            more than a ``DataLoader``.
    """
    if not is_overridden(f"{split}_dataloader", base):
        return None
    hook = f"{type(base).__name__}.{split}_dataloader"
    found = getattr(base, f"{split}_dataloader")()
    if found is None or found == []:
        return None
    if not isinstance(found, DataLoader):
        raise TypeError(
            f"{hook} must return one DataLoader, got a {type(found).__name__}. Of several loaders, "
            "join the data sets (ConcatDataset), or make a data module for each."
        )
    if type(found).__iter__ is not DataLoader.__iter__:
        raise TypeError(
            f"{hook} returned a {type(found).__name__}, which iterates in a way of its own that a "
            "DataLoader of masked samples would not have. Return a torch.utils.data.DataLoader."
        )
    if isinstance(found.dataset, IterableDataset) or not hasattr(found.dataset, "__len__"):
        raise TypeError(
            f"The {type(found.dataset).__name__} of {hook} has no length and no indices, by which "
            "a sample is found again. Use a map-style data set (__getitem__ and __len__)."
        )
    if found.batch_sampler is None:
        raise TypeError(f"{hook} loads samples without batches (batch_size=None): set batch_size.")
    return found


def rebuilt(loader: DataLoader[Any], dataset: Any) -> DataLoader[Any]:
    """The same loader of another data set: order, batches, workers and all.

    Its sampler is the very object, so both draw the same order from the same generator.

    Args:
        loader: Not iterated here, so no random number is drawn.
        dataset: As long as the loader's own.
    """
    if type(loader.batch_sampler) is BatchSampler:
        order: dict[str, Any] = {
            "batch_size": loader.batch_size,
            "sampler": loader.sampler,
            "drop_last": loader.drop_last,
        }
    else:
        order = {"batch_sampler": loader.batch_sampler}
    return DataLoader(
        dataset,
        **order,
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
        generator=loader.generator,
        persistent_workers=loader.persistent_workers,
        **workers(loader),
    )


def workers(loader: DataLoader[Any]) -> dict[str, Any]:
    """Arguments of a ``DataLoader`` that say how it loads, not what."""
    return {
        "num_workers": loader.num_workers,
        "pin_memory": loader.pin_memory,
        "timeout": loader.timeout,
        "multiprocessing_context": loader.multiprocessing_context,
        "prefetch_factor": loader.prefetch_factor,
        "in_order": loader.in_order,
    }
