"""Transforms: first the deterministic steps, then the augmentation, last the normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.utils.data import ConcatDataset, Dataset
from torchvision.datasets.vision import StandardTransform
from torchvision.transforms import v2

Transform: TypeAlias = Callable[..., Any]


def image_transform(
    mean: Sequence[float],
    std: Sequence[float],
    size: int | None = None,
    *,
    augmentation: Sequence[nn.Module] = (),
) -> v2.Compose:
    """Builds the transform from a picture to a normalised image (C, H, W) float32.

    The steps before the augmentation are those of the evaluation, so a mask of an evaluated image
    fits the same pixels in training.

    Args:
        mean: C numbers, of pixels in 0…1.
        std: C numbers.
        size: H = W. The shorter side is resized to it and the middle cut out; ``None``: no resize.
        augmentation: Random steps, for training.
    """
    resize = [] if size is None else [v2.Resize(size), v2.CenterCrop(size)]
    return v2.Compose(
        [
            v2.ToImage(),
            *resize,
            v2.ToDtype(torch.float32, scale=True),
            *augmentation,
            v2.Normalize(list(mean), list(std)),
        ]
    )


def crop_and_flip(size: int) -> list[nn.Module]:
    """Builds the usual augmentation of photographs.

    Up to 64 pixels: moved by up to 1/8 of the side, black from outside. Larger: a part of 8 to
    100 % of the area, enlarged. Mirrored half of the time.
    """
    is_small = size <= 64
    crop = v2.RandomCrop(size, size // 8) if is_small else v2.RandomResizedCrop(size)
    return [crop, v2.RandomHorizontalFlip()]


def replace_transform(dataset: Any, transform: Transform) -> Any:
    """Returns a copy of a data set with another transform; it shares the samples' memory.

    Data sets below a ``Subset``, ``ConcatDataset`` or any other wrapper with ``.dataset`` are
    copied too: the original, which other splits may share, is not changed.
    """
    view = copy(dataset)
    if hasattr(dataset, "transform"):
        view.transform = transform
        if isinstance(getattr(dataset, "transforms", None), StandardTransform):
            view.transforms = StandardTransform(transform, dataset.transforms.target_transform)
    elif isinstance(dataset, ConcatDataset):
        view.datasets = [replace_transform(part, transform) for part in dataset.datasets]
    elif isinstance(getattr(dataset, "dataset", None), Dataset):
        view.dataset = replace_transform(dataset.dataset, transform)
    return view
