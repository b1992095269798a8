"""Base of the image data modules: loaders, and the attributes that users read."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.utilities.checks import check_int


class ImageDataModule(pl.LightningDataModule):
    """Loaders of training, validation and test images. Only the training loader shuffles.

    ``predict`` runs over the test images. Each set is map-style; its ``transform`` is a
    ``v2.Compose`` of the deterministic steps (``ToImage``, ``Resize``, ``ToDtype``), the
    augmentation, if any, and ``Normalize``.

    Attributes:
        num_classes: K.
        class_names: K names, in the order of the labels; those of CIFAR are empty before
            ``setup``.
        in_channels: C.
        mean: C numbers; images are (pixels in 0…1 − mean) / std.
        std: C numbers.
        train_set, val_set, test_set: Data sets, after ``setup``.

    Args:
        batch_size: Samples in a batch.
        num_workers: Number of processes that load; they live as long as the loader.
        pin_memory: Whether batches are copied to pinned memory, for a GPU; ``None``: if the
            Trainer's device is one (without a Trainer: if there is one).
        seed: The seed of splits and subsets. Shuffling and augmentation follow the global seed.

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
        check_int("batch_size", batch_size, 1)
        check_int("num_workers", num_workers, 0)
        check_int("seed", seed)
        if pin_memory not in (None, True, False):
            raise ValueError(f"pin_memory must be True, False or None, got {pin_memory!r}.")
        self.batch_size, self.num_workers = batch_size, num_workers
        self.pin_memory, self.seed = pin_memory, seed
        self.train_set: Dataset[Any] | None = None
        self.val_set: Dataset[Any] | None = None
        self.test_set: Dataset[Any] | None = None
        self.predict_set: Dataset[Any] | None = None

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns the loader of shuffled training batches."""
        return self._loader("train_set", shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns the loader of validation batches, in order."""
        return self._loader("val_set")

    def test_dataloader(self) -> DataLoader[Any]:
        """Returns the loader of test batches, in order."""
        return self._loader("test_set")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Returns the loader of test batches, or of ``predict_set`` where there is one."""
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
            pin_memory=self._pins_memory() if self.pin_memory is None else self.pin_memory,
            # Batch norm cannot train on a last batch of one sample.
            drop_last=shuffle and samples > self.batch_size and samples % self.batch_size == 1,
        )

    def _pins_memory(self) -> bool:
        if self.trainer is None:
            return torch.cuda.is_available()
        return self.trainer.strategy.root_device.type not in ("cpu", "mps")
