"""Splits transforms into *prepare*, the deterministic start that all splits share, and remainders.

Pixels are ranked and replaced on the prepared image; the remainder of a transform, augmentation and
normalisation, follows, so that pixels and mask move together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from torch import nn
from torch.utils.data import ConcatDataset, Dataset
from torchvision import transforms as v1
from torchvision.datasets.vision import StandardTransform
from torchvision.transforms import v2

from fullgrad_lightning.datamodules.transforms import Transform
from fullgrad_lightning.utilities.normalization import Normalization

# Steps without randomness, and without a change of scale after which 0 would not be black.
DETERMINISTIC = {
    v1.ToTensor, v1.PILToTensor, v1.ToPILImage, v1.ConvertImageDtype,
    v1.Resize, v1.CenterCrop, v1.Pad, v1.Grayscale,
    v2.ToImage, v2.ToTensor, v2.PILToTensor, v2.ToPILImage, v2.ToPureTensor, v2.ToDtype,
    v2.ConvertImageDtype, v2.Resize, v2.CenterCrop, v2.Pad, v2.Grayscale, v2.RGB, v2.Identity,
}  # fmt: skip

REMEDY = """
Pass the steps explicitly, which replaces the data sets' transforms:

    ROARDataModule(
        base, store,
        # The same image, H×W, every time; before any augmentation and normalisation.
        prepare=v2.Compose([v2.ToImage(), v2.Resize(256), v2.CenterCrop(224)]),
        # From there to the network's input, in training and otherwise.
        train_transform=v2.Compose([
            v2.RandomCrop(224, padding=28), v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std),
        ]),
        eval_transform=v2.Compose([
            v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std),
        ]),
    )"""


@dataclass(frozen=True)
class Pipeline:
    """From raw images to a network's input, in two steps."""

    prepare: Transform | None  # to the prepared image; None: data sets stay as they are
    remainders: Mapping[str, Transform]  # of each split, from there to its loader's images
    evaluation: Transform  # from there to the network's input without augmentation


def split_transforms(datasets: Mapping[str, Dataset[Any]]) -> Pipeline:
    """Splits the transforms of data sets, by split, after the deterministic start that they share.

    The last split is one of evaluation.
    """
    transforms = {split: list_transforms(dataset, split) for split, dataset in datasets.items()}
    first, *others = transforms.values()
    steps = zip(first, *others, strict=False)
    start = [step[0] for step in takewhile(_is_shared, steps)]
    remainders = {split: _compose(steps[len(start) :]) for split, steps in transforms.items()}
    evaluation = remainders[list(remainders)[-1]]  # of test, if there is one
    prepare = _compose(start) if any(transforms.values()) else None
    return Pipeline(prepare, remainders, evaluation)


def join_steps(
    prepare: Transform | None, train_transform: Transform | None, eval_transform: Transform | None
) -> Pipeline | None:
    """Returns the pipeline of a user's own steps, ``None`` without any; some alone are an error."""
    if prepare is not None and train_transform is not None and eval_transform is not None:
        remainders = {"train": train_transform, "val": eval_transform, "test": eval_transform}
        return Pipeline(prepare, remainders, eval_transform)
    names = ("prepare", "train_transform", "eval_transform")
    steps = (prepare, train_transform, eval_transform)
    missing = [name for name, step in zip(names, steps, strict=True) if step is None]
    if len(missing) < len(names):
        raise ValueError(
            f"prepare, train_transform and eval_transform go together, but {', '.join(missing)} "
            "is missing. Pass torch.nn.Identity() where there is nothing to do."
        )
    return None


def list_transforms(dataset: Any, split: str) -> list[Transform]:
    """Returns the transforms of a data set's images, one by one; none without a ``transform``."""
    transforms = [_image_transforms(part, split) for part in base_datasets(dataset)]
    for other in transforms[1:]:
        first = transforms[0]
        if len(other) != len(first) or not all(map(_are_same, first, other)):
            raise ValueError(
                f"The data sets joined in the {split} split have different transforms, "
                f"{first} and {other}. Give all of them the same object." + REMEDY
            )
    return transforms[0]


def find_normalization(
    data: object, transforms: Callable[[], Sequence[Transform]]
) -> Normalization | None:
    """Returns a data module's normalisation: ``mean`` and ``std``, or the one ``Normalize`` step.

    Its transforms, nested or not, are listed only if it has no ``mean`` or ``std``, since not all
    transforms can be.

    Examples:
        >>> steps = v2.Compose([v2.ToImage(), v2.Normalize([0.5], [0.25])])
        >>> find_normalization(None, lambda: [steps])
        Normalization(mean=(0.5,), std=(0.25,))
    """
    normalization = Normalization.of_datamodule(data)
    if normalization is not None:
        return normalization
    flat = [step for transform in transforms() for step in _flatten(transform)]
    steps = [step for step in flat if isinstance(step, v1.Normalize | v2.Normalize)]
    return Normalization.of(steps[0].mean, steps[0].std) if len(steps) == 1 else None


def base_datasets(dataset: Any) -> list[Any]:
    """Returns the data sets that hold the transforms, below any wrappers."""
    if not hasattr(dataset, "transform"):
        if isinstance(dataset, ConcatDataset):
            return [base for part in dataset.datasets for base in base_datasets(part)]
        if isinstance(getattr(dataset, "dataset", None), Dataset):
            return base_datasets(dataset.dataset)
    return [dataset]


def _are_same(first: Transform, second: Transform) -> bool:
    """Returns whether two transforms are one object, or deterministic with the same options."""
    if first is second:
        return True
    comparable = type(first) is type(second) and type(first) in DETERMINISTIC
    return comparable and repr(first) == repr(second) and vars(first) == vars(second)


def _is_shared(step: Sequence[Transform]) -> bool:
    return type(step[0]) in DETERMINISTIC and all(_are_same(step[0], other) for other in step)


def _compose(transforms: Sequence[Transform]) -> Transform:
    # Not v2.Identity: it searches its inputs for images, which takes time.
    return v2.Compose(transforms) if transforms else nn.Identity()


def _image_transforms(dataset: Any, split: str) -> list[Transform]:
    joint = getattr(dataset, "transforms", None)
    if joint is not None and not isinstance(joint, StandardTransform):
        raise ValueError(
            f"{type(dataset).__name__}, of the {split} split, has `transforms` of image and label "
            "together, which cannot be split. Give it a `transform` of the image alone."
        )
    return _flatten(getattr(dataset, "transform", None))


def _flatten(transform: Any) -> list[Transform]:
    if transform is None:
        return []
    if type(transform) in (v1.Compose, v2.Compose):
        return [step for part in transform.transforms for step in _flatten(part)]
    if type(transform) is nn.Sequential:
        return [step for part in transform for step in _flatten(part)]
    return [transform]
