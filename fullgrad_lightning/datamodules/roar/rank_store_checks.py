"""A store of ranks and the images that it ranks, brought together."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytorch_lightning as pl
from torch import Tensor

from fullgrad_lightning.datamodules.roar.channel_mean import channel_mean, keep_mean, read_mean
from fullgrad_lightning.datamodules.roar.prepared_datasets import PreparedSplits
from fullgrad_lightning.stores.rank_store import RankStore


def store_of(folder: Path, images: PreparedSplits) -> RankStore:
    """Opens a complete store and checks that it ranks these images.

    Args:
        folder: The store's.
        images: All splits. Where the store does not tell their fingerprint
            (``made_from["data"]``), as one that a user filled himself, only sizes are compared.

    Raises:
        ValueError: It ranks other images; or as ``RankStore.open``.
    """
    store = RankStore.open(folder)
    rows = {split: store.sizes.get(split, 0) for split in images.sizes}
    data = store.made_from.get("data", images.fingerprint)
    for what, stored, own in (
        ("height and width", tuple(store.shape), images.shape[1:]),
        ("numbers of images", rows, images.sizes),
        ("fingerprint (a hash of prepared images)", data, images.fingerprint),
    ):
        if stored != own:
            raise ValueError(
                f"The store in {folder} ranks the pixels of other images. Their {what}: {stored} "
                f"in the store, {own} here. Pass the data module that it was estimated on, with "
                "the same splits, subsets and first transforms, or estimate a store of this one."
            )
    return store


def mean_of(
    images: PreparedSplits, folder: Path, *, num_workers: int, trainer: pl.Trainer | None
) -> Tensor:
    """The mean of each channel over the prepared training images, computed once for a store.

    Args:
        images: All splits.
        folder: The store's; it keeps the mean, in ``channel_mean.json``.
        num_workers: Processes that load.
        trainer: If any: the first of its processes computes for all, which must ask together.

    Returns:
        (C,) float64, in the units of the prepared images.
    """
    path = folder / "channel_mean.json"
    if trainer is not None and not trainer.is_global_zero:
        trainer.strategy.barrier("channel_mean")
    mean = read_mean(path, images.fingerprint)
    if mean is None:
        mean = channel_mean(images.views["train"], images.shape, num_workers=num_workers)
        with suppress(PermissionError):  # someone else's store: it is computed each time
            keep_mean(path, images.fingerprint, mean)
    if trainer is not None and trainer.is_global_zero:
        trainer.strategy.barrier("channel_mean")
    return mean
