"""DelegatingDataModule: base of data modules that wrap another."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden

from fullgrad_lightning.datamodules.indexed_batches import IndexedBatch

ATTRIBUTES = ("mean", "std", "num_classes", "class_names", "in_channels")
BATCH_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class DelegatingDataModule(pl.LightningDataModule):
    """A data module whose hooks and attributes are those of another; subclasses define loaders.

    Delegated are ``prepare_data``, ``setup``, ``teardown``, ``state_dict``, ``load_state_dict``,
    ``on_exception``, the Trainer, the attributes that users read (``ATTRIBUTES``, where base has
    them), and the hooks on batches that base overrides: only those, since Lightning prefers a data
    module's to the model's own. In a prediction a hook gets the batch of an ``IndexedBatch``.

    Args:
        base: The data module to wrap.

    Raises:
        TypeError: ``base`` is not a data module.
    """

    def __init__(self, base: pl.LightningDataModule) -> None:
        if not isinstance(base, pl.LightningDataModule):
            raise TypeError(
                "base must be a pytorch_lightning.LightningDataModule, got a "
                f"{type(base).__name__}. LightningDataModule.from_datasets makes one of data sets."
            )
        self.base = base
        super().__init__()
        self.prepare_data_per_node = base.prepare_data_per_node
        for hook in BATCH_HOOKS:
            if is_overridden(hook, base):
                setattr(self, hook, partial(_call_batch_hook, base, hook))

    @property
    def trainer(self) -> pl.Trainer | None:
        """The Trainer, which is base's too."""
        return self.base.trainer

    @trainer.setter
    def trainer(self, trainer: pl.Trainer | None) -> None:
        self.base.trainer = trainer

    def prepare_data(self) -> None:
        """Prepares base."""
        self.base.prepare_data()

    def setup(self, stage: str) -> None:
        """Sets base up."""
        self.base.setup(stage)

    def teardown(self, stage: str) -> None:
        """Tears base down."""
        self.base.teardown(stage)

    def state_dict(self) -> dict[str, Any]:
        """Returns base's state."""
        return self.base.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads base's state."""
        self.base.load_state_dict(state_dict)

    def on_exception(self, exception: BaseException) -> None:
        """Passes the exception to base."""
        self.base.on_exception(exception)

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self.base, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _call_batch_hook(
    base: pl.LightningDataModule, hook: str, batch: Any, *arguments: Any, **options: Any
) -> Any:
    method = getattr(base, hook)
    if base.trainer is not None and base.trainer.predicting and isinstance(batch, IndexedBatch):
        return batch._replace(batch=method(batch.batch, *arguments, **options))
    return method(batch, *arguments, **options)
