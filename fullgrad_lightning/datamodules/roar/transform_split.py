"""Takes transforms apart: *prepare*, which is the same for all splits and every time, and the rest.

Pixels are ranked and replaced on the prepared image; what is left of a transform, augmentation and
normalisation, comes after that, so that pixels and mask move together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeAlias

from torch import nn
from torch.utils.data import ConcatDataset, Dataset
from torchvision import transforms as v1
from torchvision.datasets.vision import StandardTransform
from torchvision.transforms import v2

Transform: TypeAlias = Callable[..., Any]

# The same every time, and no change of scale of which 0 would not stay black.
DETERMINISTIC = {
    v1.ToTensor, v1.PILToTensor, v1.ToPILImage, v1.ConvertImageDtype,
    v1.Resize, v1.CenterCrop, v1.Pad, v1.Grayscale,
    v2.ToImage, v2.ToTensor, v2.PILToTensor, v2.ToPILImage, v2.ToPureTensor, v2.ToDtype,
    v2.ConvertImageDtype, v2.Resize, v2.CenterCrop, v2.Pad, v2.Grayscale, v2.RGB, v2.Identity,
}  # fmt: skip

REMEDY = """
Say what is ranked and what follows, which replaces the data sets' transforms:

    ROARDataModule(
        base, store,
        # The same image, H×W, every time; before any augmentation and normalisation.
        prepare=v2.Compose([v2.ToImage(), v2.Resize(256), v2.CenterCrop(224)]),
        # From there to what the network sees, in training and in all else.
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
    """From raw images to what a network sees, in two steps.

    Args:
        prepare: From a raw image to the prepared one; ``None``: data sets stay as they are.
        rests: For each split, from a prepared image to what its loader hands out.
        evaluation: From a prepared image to what the network sees without augmentation.
    """

    prepare: Transform | None
    rests: Mapping[str, Transform]
    evaluation: Transform


def pipeline_of(datasets: Mapping[str, Dataset[Any]]) -> Pipeline:
    """The longest deterministic beginning that the transforms of all splits share, and the rests.

    Args:
        datasets: Those of the splits, map-style; the last is one of evaluation.

    Raises:
        ValueError: A data set whose parts have different transforms, or joint ones of image and
            label.
    """
    all_of = {split: transforms_of(dataset, split) for split, dataset in datasets.items()}
    first, *others = all_of.values()
    steps = zip(first, *others, strict=False)
    start = [step[0] for step in takewhile(_shared, steps)]
    rests = {split: chained(steps[len(start) :]) for split, steps in all_of.items()}
    evaluation = rests[list(rests)[-1]]  # of test, if there is one
    return Pipeline(chained(start) if any(all_of.values()) else None, rests, evaluation)


def own_steps(*steps: Transform | None) -> tuple[Transform, ...] | None:
    """Checks a user's prepare, train_transform and eval_transform; ``None`` if there are none.

    Raises:
        ValueError: Some of them, not all.
    """
    named = dict(zip(("prepare", "train_transform", "eval_transform"), steps, strict=True))
    missing = [name for name, step in named.items() if step is None]
    if missing and len(missing) < len(named):
        raise ValueError(
            f"prepare, train_transform and eval_transform go together, but {', '.join(missing)} "
            "is missing. Pass torch.nn.Identity() where there is nothing to do."
        )
    return None if missing else tuple(step for step in steps if step is not None)


def prepared(dataset: Any, prepare: Transform) -> Any:
    """A copy of a data set that hands out prepared images; it shares the samples' memory.

    Data sets below a ``Subset``, ``ConcatDataset`` or any other wrapper with ``.dataset`` are
    copied too: the one given, which other splits may share, is not changed.

    Args:
        dataset: Map-style.
        prepare: Takes the place of the ``transform`` of all data sets that have one.
    """
    view = copy(dataset)
    if hasattr(dataset, "transform"):
        view.transform = prepare
        if isinstance(getattr(dataset, "transforms", None), StandardTransform):
            view.transforms = StandardTransform(prepare, dataset.transforms.target_transform)
    elif isinstance(dataset, ConcatDataset):
        view.datasets = [prepared(part, prepare) for part in dataset.datasets]
    elif isinstance(getattr(dataset, "dataset", None), Dataset):
        view.dataset = prepared(dataset.dataset, prepare)
    return view


def transforms_of(dataset: Any, split: str) -> list[Transform]:
    """The transforms of the images of a data set, one by one; none if it has no ``transform``.

    Raises:
        ValueError: As ``pipeline_of``.
    """
    found = [_own(part, split) for part in bottom(dataset)]
    for other in found[1:]:
        alike = len(other) == len(found[0]) and all(map(same, found[0], other))
        if not alike:
            raise ValueError(
                f"The data sets joined in the {split} split have different transforms, "
                f"{found[0]} and {other}. Give all of them the same object." + REMEDY
            )
    return found[0]


def normalization_of(transforms: Sequence[Transform]) -> tuple[Any, Any] | None:
    """Mean and standard deviation, by channel, of the one ``Normalize`` among transforms.

    Args:
        transforms: They may hold others (``Compose``).

    Examples:
        >>> normalization_of([v2.Compose([v2.ToImage(), v2.Normalize([0.5], [0.25])])])
        ([0.5], [0.25])
    """
    steps = [step for transform in transforms for step in _flat(transform)]
    found = [step for step in steps if isinstance(step, v1.Normalize | v2.Normalize)]
    return (found[0].mean, found[0].std) if len(found) == 1 else None


def normalization_by(
    data: Any, transforms: Callable[[], Sequence[Transform]]
) -> tuple[Any, Any] | None:
    """Mean and standard deviation by channel: a data module's own, or ``normalization_of``.

    Args:
        data: The data module.
        transforms: Asked only without its own: not all can be taken apart.
    """
    mean, std = getattr(data, "mean", None), getattr(data, "std", None)
    own = mean is not None and std is not None
    return (mean, std) if own else normalization_of(transforms())


def bottom(dataset: Any) -> list[Any]:
    """The data sets that hold the transforms, below what wraps them."""
    if not hasattr(dataset, "transform"):
        if isinstance(dataset, ConcatDataset):
            return [found for part in dataset.datasets for found in bottom(part)]
        if isinstance(getattr(dataset, "dataset", None), Dataset):
            return bottom(dataset.dataset)
    return [dataset]


def same(first: Transform, second: Transform) -> bool:
    """Whether two transforms are one object, or known to do the same."""
    if first is second:
        return True
    known = type(first) is type(second) and type(first) in DETERMINISTIC
    return known and repr(first) == repr(second) and vars(first) == vars(second)


def chained(transforms: Sequence[Transform]) -> Transform:
    """One after the other; nothing at all for none."""
    # Not v2.Identity: it looks for images in what it is given, which takes time.
    return v2.Compose(transforms) if transforms else nn.Identity()


def _shared(step: Sequence[Transform]) -> bool:
    return type(step[0]) in DETERMINISTIC and all(same(step[0], other) for other in step)


def _own(dataset: Any, split: str) -> list[Transform]:
    joint = getattr(dataset, "transforms", None)
    if joint is not None and not isinstance(joint, StandardTransform):
        raise ValueError(
            f"{type(dataset).__name__}, of the {split} split, has `transforms` of image and label "
            "together, which cannot be taken apart. Give it a `transform` of the image alone."
        )
    return _flat(getattr(dataset, "transform", None))


def _flat(transform: Any) -> list[Transform]:
    if transform is None:
        return []
    if type(transform) in (v1.Compose, v2.Compose):
        return [step for part in transform.transforms for step in _flat(part)]
    if type(transform) is nn.Sequential:
        return [step for part in transform for step in _flat(part)]
    return [transform]
