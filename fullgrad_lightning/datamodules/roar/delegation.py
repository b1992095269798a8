"""What a data module that wraps another hands on to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden

ATTRIBUTES = ("mean", "std", "num_classes", "class_names", "in_channels")
HOOKS = ("prepare_data", "state_dict", "load_state_dict", "on_exception")
BATCH_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


def hooks_of(base: pl.LightningDataModule) -> dict[str, Callable[..., Any]]:
    """The hooks that a data module overrides, by name.

    Only those: of hooks on batches, Lightning prefers a data module's to the model's own.

    Args:
        base: The data module. Where a hook gets a batch (indices, batch) to predict, base's gets
            the batch.
    """
    found = {hook: getattr(base, hook) for hook in HOOKS if is_overridden(hook, base)}
    on_batches = (hook for hook in BATCH_HOOKS if is_overridden(hook, base))
    return found | {hook: partial(_on_batch, base, hook) for hook in on_batches}


def _on_batch(
    base: pl.LightningDataModule, hook: str, batch: Any, *arguments: Any, **options: Any
) -> Any:
    own = getattr(base, hook)
    if base.trainer is not None and base.trainer.predicting:
        indices, items = batch
        return indices, own(items, *arguments, **options)
    return own(batch, *arguments, **options)
