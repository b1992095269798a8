"""Seeded splits that keep the proportions of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def balanced_order(labels: Sequence[int] | Tensor, seed: int) -> Tensor:
    """All indices in an order, any part of which has the classes in near their proportions.

    The r-th of the n samples of a class, in random order, stands at (r + ½) / n of the way; so the
    first k hold k · n / N samples of it, give or take one. The global generator is not touched.

    Args:
        labels: N class indices.
        seed: Of the order.

    Returns:
        (N,) int64, a permutation.
    """
    own = torch.Generator().manual_seed(seed)
    classes = torch.as_tensor(labels)
    place = torch.empty(len(classes), dtype=torch.float64)
    for label in classes.unique():
        members = (classes == label).nonzero().flatten()
        shuffled = members[torch.randperm(len(members), generator=own)]
        place[shuffled] = (torch.arange(len(members)) + 0.5).double() / len(members)
    mixed = torch.randperm(len(classes), generator=own)  # who comes first among equals
    return mixed[place[mixed].argsort(stable=True)]


def split_off(
    labels: Sequence[int] | Tensor, val_size: int | float, train_size: int | None, seed: int
) -> tuple[list[int], list[int]]:
    """Indices of training and validation samples, in rising order.

    The validation samples do not depend on ``train_size``.

    Args:
        labels: N class indices.
        val_size: Number of validation samples, 0 for none, or their share (a float).
        train_size: Number of training samples; ``None``: all that are left.
        seed: Of the split.

    Raises:
        ValueError: There are not enough samples.
    """
    n = len(labels)
    held_out = round(val_size * n) if isinstance(val_size, float) else val_size
    left = n - held_out
    wanted = left if train_size is None else train_size
    if held_out < (val_size != 0) or not 1 <= wanted <= left:
        raise ValueError(
            f"Cannot take val_size={val_size} and train_size={train_size} of {n} training samples: "
            f"that is {held_out} for validation, of {left} others {wanted} for training, and each "
            "needs at least one. Change val_size or train_size."
        )
    order = balanced_order(labels, seed)
    val, train = order[:held_out], order[held_out:][:wanted]
    return train.sort().values.tolist(), val.sort().values.tolist()


def split_options(val_size: object, train_size: object) -> None:
    """Checks ``val_size`` and ``train_size`` as far as can be without the data.

    Raises:
        ValueError: An option out of range.
    """
    share = isinstance(val_size, float) and 0 < val_size < 1
    if not share and not _positive(val_size):
        raise ValueError(
            f"val_size must be an integer ≥ 1, or a share between 0 and 1, got {val_size!r}."
        )
    if train_size is not None and not _positive(train_size):
        raise ValueError(f"train_size must be an integer ≥ 1 or None, got {train_size!r}.")


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
