"""Seeded splits that keep the proportions of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Subset
from torchvision.datasets import VisionDataset
from torchvision.transforms import v2

from fullgrad_lightning.datamodules.transforms import replace_transform
from fullgrad_lightning.utilities.checks import is_int

SPLITS = ("train", "val", "test")


def balanced_order(labels: Sequence[int] | Tensor, seed: int) -> Tensor:
    """Returns all indices in an order, any part of which nearly has the classes' proportions.

    The r-th of the n samples of a class, in random order, stands at (r + ½) / n of the way; so the
    first k hold k · n / N samples of it, give or take one. The global generator is not touched.
    ``labels`` are N class indices; the result is (N,) int64, a permutation.
    """
    generator = torch.Generator().manual_seed(seed)
    classes = torch.as_tensor(labels)
    position = torch.empty(len(classes), dtype=torch.float64)
    for label in classes.unique():
        members = (classes == label).nonzero().flatten()
        shuffled = members[torch.randperm(len(members), generator=generator)]
        position[shuffled] = (torch.arange(len(members)) + 0.5).double() / len(members)
    mixed = torch.randperm(len(classes), generator=generator)  # the order among equal positions
    return mixed[position[mixed].argsort(stable=True)]


def split_off(
    labels: Sequence[int] | Tensor, val_size: int | float, train_size: int | None, seed: int
) -> tuple[list[int], list[int]]:
    """Returns indices of training and validation samples, in rising order.

    ``val_size`` is their number, 0 for none, or their share (a float); they do not depend on
    ``train_size``, which is a number, or ``None`` for all that are left.
    """
    n = len(labels)
    n_val = round(val_size * n) if isinstance(val_size, float) else val_size
    n_left = n - n_val
    n_train = n_left if train_size is None else train_size
    if n_val < (val_size != 0) or not 1 <= n_train <= n_left:
        raise ValueError(
            f"Cannot take val_size={val_size} and train_size={train_size} of {n} training samples: "
            f"that is {n_val} for validation, of {n_left} others {n_train} for training, and each "
            "needs at least one. Change val_size or train_size."
        )
    order = balanced_order(labels, seed)
    val, train = order[:n_val], order[n_val:][:n_train]
    return train.sort().values.tolist(), val.sort().values.tolist()


def train_val_subsets(
    dataset: VisionDataset,
    evaluation: v2.Compose,
    *,
    val_size: int | float,
    train_size: int | None,
    seed: int,
) -> tuple[Subset[object], Subset[object]]:
    """Returns a training subset, and a validation subset with the transform of the evaluation.

    The data set has ``targets``, its labels; sizes and seed are those of ``split_off``.
    """
    train, val = split_off(dataset.targets, val_size, train_size, seed)
    return Subset(dataset, train), Subset(replace_transform(dataset, evaluation), val)


def check_split_sizes(val_size: object, train_size: object) -> None:
    """Checks ``val_size`` and ``train_size`` as far as possible without the data."""
    is_share = isinstance(val_size, float) and 0 < val_size < 1
    if not is_share and not is_int(val_size, 1):
        raise ValueError(
            f"val_size must be an integer ≥ 1, or a share between 0 and 1, got {val_size!r}."
        )
    if train_size is not None and not is_int(train_size, 1):
        raise ValueError(f"train_size must be an integer ≥ 1 or None, got {train_size!r}.")
