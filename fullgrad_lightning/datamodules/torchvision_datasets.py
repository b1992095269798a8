"""torchvision's own image sets as data modules: MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar

from torch import nn
from torch.utils.data import Subset
from torchvision import datasets
from torchvision.transforms import v2

from fullgrad_lightning.datamodules.base import ImageDataModule
from fullgrad_lightning.datamodules.splits import (
    balanced_order,
    check_split_sizes,
    train_val_subsets,
)
from fullgrad_lightning.datamodules.transforms import crop_and_flip, image_transform
from fullgrad_lightning.utilities.checks import check_int

# torchvision raises these on files that are missing, truncated, or of another kind.
_UNREADABLE = (
    RuntimeError, OSError, EOFError, ValueError, TypeError, LookupError, AssertionError,
    UnpicklingError,
)  # fmt: skip


class TorchvisionDataModule(ImageDataModule):
    """A torchvision image set: train, validation (taken from train, without augmentation) and test.

    Args:
        data_dir: torchvision's ``root``: the folder that holds, or will hold, the set's folder.
        download: Whether to download missing files.
        augment: Whether training images are augmented; the class's docstring describes how.
        val_size: Number of training images kept for validation, or their share (a float).
        train_size: Number of training images used; ``None``: all others. Subsets are seeded and
            keep the proportions of the classes.
        test_size: Number of test images used; ``None``: all.
        batch_size, num_workers, pin_memory, seed: As in ``ImageDataModule``.

    Raises:
        ValueError: An option out of range; in ``setup``, a split that asks for too many images.
        FileNotFoundError: In ``prepare_data`` or ``setup``: the files are missing or broken.
    """

    dataset_class: ClassVar[Any]
    folder: ClassVar[str]  # below data_dir
    augmentation: ClassVar[list[nn.Module]]

    def __init__(
        self,
        data_dir: str | Path,
        download: bool = False,
        *,
        augment: bool = True,
        val_size: int | float = 5000,
        train_size: int | None = None,
        test_size: int | None = None,
        batch_size: int = 128,
        num_workers: int = 0,
        pin_memory: bool | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size, num_workers=num_workers, pin_memory=pin_memory, seed=seed
        )
        check_split_sizes(val_size, train_size)
        if test_size is not None:
            check_int("test_size", test_size, 1)
        self.data_dir = Path(data_dir).expanduser()
        self.download, self.augment = download, augment
        self.val_size, self.train_size, self.test_size = val_size, train_size, test_size

    def prepare_data(self) -> None:
        """Downloads missing files if ``download=True``."""
        if self.download:
            for train in (True, False):
                self._open(train, None, download=True)

    def setup(self, stage: str | None = None) -> None:
        """Reads and splits the data of the stage, once."""
        evaluation = image_transform(self.mean, self.std)
        if self.train_set is None and stage in ("fit", "validate", None):
            augmentation = self.augmentation if self.augment else []
            transform = image_transform(self.mean, self.std, augmentation=augmentation)
            self.train_set, self.val_set = train_val_subsets(
                self._open(True, transform),
                evaluation,
                val_size=self.val_size,
                train_size=self.train_size,
                seed=self.seed,
            )
        if self.test_set is None and stage in ("test", "predict", None):
            test = self._open(False, evaluation)
            if self.test_size is not None:
                if self.test_size > len(test):
                    raise ValueError(
                        f"Cannot take test_size={self.test_size} of {len(test)} test images. Use a "
                        "smaller number, or None for all."
                    )
                indices = balanced_order(test.targets, self.seed)[: self.test_size]
                test = Subset(test, indices.sort().values.tolist())
            self.test_set = test

    def _open(self, train: bool, transform: v2.Compose | None, download: bool = False) -> Any:
        name = self.dataset_class.__name__
        try:
            dataset = self.dataset_class(self.data_dir, train, transform, download=download)
        except _UNREADABLE as error:
            remedy = "Remove that folder and try again" if self.download else "Set download=True"
            raise FileNotFoundError(
                f"Cannot read {name} from data_dir={self.data_dir}: its files are expected in "
                f"{self.data_dir / self.folder}, and are missing, broken or unavailable "
                f"({type(error).__name__}: {error}). {remedy}, or name another data_dir."
            ) from error
        if len(dataset.data) != len(dataset.targets):
            raise FileNotFoundError(
                f"Broken files in {self.data_dir / self.folder}: {len(dataset.data)} images of "
                f"{name}, but {len(dataset.targets)} labels. Remove that folder and set "
                "download=True."
            )
        self.class_names = tuple(dataset.classes)
        return dataset


class MNISTDataModule(TorchvisionDataModule):
    """MNIST: 60,000 + 10,000 handwritten digits, 28×28, grey. Augmentation: moved by up to 2."""

    dataset_class = datasets.MNIST
    folder = "MNIST/raw"
    num_classes, in_channels = 10, 1
    class_names = tuple(datasets.MNIST.classes)
    mean, std = (0.1307,), (0.3081,)
    augmentation: ClassVar = [v2.RandomCrop(28, padding=2)]


class FashionMNISTDataModule(TorchvisionDataModule):
    """Fashion-MNIST: 60,000 + 10,000 clothes, 28×28, grey. Augmentation: mirrored half the time."""

    dataset_class = datasets.FashionMNIST
    folder = "FashionMNIST/raw"
    num_classes, in_channels = 10, 1
    class_names = tuple(datasets.FashionMNIST.classes)
    mean, std = (0.2860,), (0.3530,)
    augmentation: ClassVar = [v2.RandomHorizontalFlip()]


class CIFAR10DataModule(TorchvisionDataModule):
    """CIFAR-10: 50,000 + 10,000 photographs, 32×32. Augmentation: moved by up to 4, mirrored."""

    dataset_class = datasets.CIFAR10
    folder = datasets.CIFAR10.base_folder
    num_classes, in_channels = 10, 3
    class_names = ()
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    augmentation: ClassVar = crop_and_flip(32)


class CIFAR100DataModule(TorchvisionDataModule):
    """CIFAR-100: 50,000 + 10,000 photographs, 32×32. Augmentation: moved by up to 4, mirrored."""

    dataset_class = datasets.CIFAR100
    folder = datasets.CIFAR100.base_folder
    num_classes, in_channels = 100, 3
    class_names = ()
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    augmentation: ClassVar = crop_and_flip(32)
