"""What all data modules share: their loaders, and what a user may read off them."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset


class ImageDataModule(pl.LightningDataModule):
    """Loaders of training, validation and test images. Only the training loader shuffles.

    ``predict`` runs over the test images. Each set is map-style; its ``transform`` is a
    ``v2.Compose`` that begins with what is the same every time (``ToImage``, ``Resize``,
    ``ToDtype``), goes on with the augmentation, if any, and ends with ``Normalize``.

    Attributes:
        num_classes: K.
        class_names: K names, in the order of the labels; those of CIFAR are empty before
            ``setup``, all others known at once.
        in_channels: C.
        mean: C numbers; images are (pixels in 0…1 − mean) / std.
        std: C numbers.
        train_set: Data set, after ``setup``; likewise ``val_set`` and ``test_set``.

    Args:
        batch_size: Samples in a batch.
        num_workers: Processes that load; they live as long as the loader.
        pin_memory: Whether batches are put where a GPU can fetch them; default: if the Trainer's
            device is one (without a Trainer: if there is one).
        seed: Of all that is drawn once: splits and subsets. Shuffling and augmentation follow the
            global seed.

    Raises:
        ValueError: An option out of range.
    """

    num_classes: int
    class_names: tuple[str, ...]
    in_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(
        self, *, batch_size: int, num_workers: int, pin_memory: bool | None, seed: int
    ) -> None:
        super().__init__()
        integer_option("batch_size", batch_size, 1)
        integer_option("num_workers", num_workers, 0)
        integer_option("seed", seed)
        if pin_memory not in (None, True, False):
            raise ValueError(f"pin_memory must be True, False or None, got {pin_memory!r}.")
        self.batch_size, self.num_workers = batch_size, num_workers
        self.pin_memory, self.seed = pin_memory, seed
        self.train_set: Dataset[Any] | None = None
        self.val_set: Dataset[Any] | None = None
        self.test_set: Dataset[Any] | None = None
        self.predict_set: Dataset[Any] | None = None

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches."""
        return self._loader("train_set", shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Batches in order."""
        return self._loader("val_set")

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches in order."""
        return self._loader("test_set")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test batches, unless the data module says otherwise."""
        return self._loader("test_set" if self.predict_set is None else "predict_set")

    def _loader(self, name: str, shuffle: bool = False) -> DataLoader[Any]:
        dataset: Dataset[Any] | None = getattr(self, name)
        if dataset is None:
            raise RuntimeError(
                f"{type(self).__name__} has no {name} yet: call setup() first (a Trainer does)."
            )
        samples = len(cast(Sized, dataset))
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            shuffle=shuffle,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self._pins() if self.pin_memory is None else self.pin_memory,
            # Batch norm cannot train on a last batch of one sample.
            drop_last=shuffle and samples > self.batch_size and samples % self.batch_size == 1,
        )

    def _pins(self) -> bool:
        if self.trainer is None:
            return torch.cuda.is_available()
        return self.trainer.strategy.root_device.type not in ("cpu", "mps")


def integer_option(name: str, value: object, least: int | None = None) -> None:
    """Checks an option that is an integer.

    Raises:
        ValueError: Not an integer, or below ``least``.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or (least is not None and cast(int, value) < least):
        bound = "" if least is None else f" ≥ {least}"
        raise ValueError(f"{name} must be an integer{bound}, got {value!r}.")
