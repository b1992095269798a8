"""One data set seen twice: with augmentation for training, without for validation."""

from __future__ import annotations

from copy import copy

from torch.utils.data import Subset
from torchvision.datasets import VisionDataset
from torchvision.datasets.vision import StandardTransform
from torchvision.transforms import v2

from fullgrad_lightning.datamodules.splits import split_off


def train_and_val(
    dataset: VisionDataset,
    evaluation: v2.Compose,
    *,
    val_size: int | float,
    train_size: int | None,
    seed: int,
) -> tuple[Subset[object], Subset[object]]:
    """Training and validation subsets of a data set with ``targets``.

    Args:
        dataset: The training set; its ``transform`` is that of training.
        evaluation: The transform of the validation part.
        val_size, train_size, seed: As in ``split_off``.

    Raises:
        ValueError: There are not enough samples.
    """
    train, val = split_off(dataset.targets, val_size, train_size, seed)
    return Subset(dataset, train), Subset(with_transform(dataset, evaluation), val)


def with_transform(dataset: VisionDataset, transform: v2.Compose) -> VisionDataset:
    """The same samples, in the same memory, under another transform."""
    view = copy(dataset)
    view.transform = transform
    view.transforms = StandardTransform(transform)
    return view
