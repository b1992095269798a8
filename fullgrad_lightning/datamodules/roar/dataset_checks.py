"""Looks at samples of a data set before pixels of it are ranked or replaced.

Nothing here touches the global generators: training goes on as if nobody had looked.

Shapes: (C, H, W) of an image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils import _pytree as pytree

from fullgrad_lightning.datamodules.roar.items import (
    Picture,
    image_of,
    shape_of,
    stacked,
    unstacked,
    with_image,
)
from fullgrad_lightning.datamodules.roar.transform_split import REMEDY, Transform

LOOKED_AT = 64  # samples of a split that go into its fingerprint
FETCHED_AGAIN = 16  # of those: an image mirrored half of the time passes once in 65,536


def fetch(dataset: Any, indices: Sequence[int]) -> list[Any]:
    """Samples, in one go if the data set offers it."""
    if callable(getattr(dataset, "__getitems__", None)):
        return list(dataset.__getitems__(list(indices)))
    return [dataset[index] for index in indices]


def spread(n: int, number: int) -> list[int]:
    """At most ``number`` indices below n, evenly spread, first and last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, number)).tolist()})


def digest(item: object) -> bytes:
    """A hash of the tensors, arrays, images and numbers in a sample; names and paths do not count.

    Examples:
        >>> digest((torch.zeros(2), 3, "a.png")) == digest((torch.zeros(2), 3, "b.png"))
        True
    """
    found = hashlib.sha256()
    for part in pytree.tree_leaves(item):
        if isinstance(part, Tensor):
            part = part.detach().cpu().as_subclass(Tensor).contiguous()
            content = part.reshape(-1).view(torch.uint8).numpy().tobytes()
            found.update(f"{part.dtype}{tuple(part.shape)}".encode() + content)
        elif isinstance(part, Image.Image | np.ndarray):
            array = np.asarray(part)
            found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        elif isinstance(part, bool | int | float | np.number):
            found.update(repr(float(part)).encode())
    return found.digest()


def inspect(
    split: str, view: Any, shape: tuple[int, int, int] | None = None, remedy: str = REMEDY
) -> tuple[tuple[int, int, int], bytes]:
    """Looks at prepared samples spread over a split.

    Args:
        split: Its name, for errors.
        view: Its data set, which hands out prepared images.
        shape: (C, H, W) that every image must have; ``None``: that of the first.
        remedy: What errors end with.

    Returns:
        The common shape, and a hash of the number of samples and of 64 of them.

    Raises:
        ValueError: No samples, images of different shapes, or a sample that changes.
        TypeError: A sample without an image.
    """
    if not len(view):
        raise ValueError(f"The data set of the {split} split is empty.")
    found = hashlib.sha256(str(len(view)).encode())
    indices = spread(len(view), LOOKED_AT)
    again = {indices[place] for place in spread(len(indices), FETCHED_AGAIN)}
    with isolate_rng(include_cuda=False):
        for index in indices:
            (item,) = fetch(view, [index])
            image = image_of(item)
            shape = shape_of(image) if shape is None else shape
            check_shape(image, shape, split, index, remedy)
            hashed = digest(item)
            if index in again and digest(fetch(view, [index])[0]) != hashed:
                raise ValueError(
                    f"Sample {index} of the {split} split is not the same when it is fetched again:"
                    " the data set augments it before pixels could be replaced. Everything random "
                    "must be in its `transform` (an attribute), after what is not." + remedy
                )
            found.update(hashed)
    assert shape is not None
    return shape, found.digest()


def check_shape(
    image: Picture, shape: tuple[int, int, int], split: str, index: int, remedy: str = REMEDY
) -> None:
    """Raises a ``ValueError`` for a prepared image of another shape."""
    if shape_of(image) != shape:
        raise ValueError(
            f"All prepared images must have one shape, which is {shape} (C, H, W), but sample "
            f"{index} of the {split} split has {shape_of(image)}: what training and evaluation do "
            "alike at first leaves images of different sizes. (`Resize(size)` of one number keeps "
            "the proportions.)" + remedy
        )


def check_taken_apart(split: str, view: Any, rest: Transform, original: Any) -> None:
    """Checks that prepared samples and the rest of their transform make the original samples.

    Args:
        split: Its name, for errors.
        view: Its data set, which hands out prepared images.
        rest: From a prepared image to what the original hands out; it may be random.
        original: The user's data set.

    Raises:
        ValueError: Something else comes out.
    """
    indices = spread(len(view), FETCHED_AGAIN)

    def all_of(samples: Callable[[int], bytes]) -> list[bytes]:
        with isolate_rng(include_cuda=False):  # each time from the same state
            return [samples(index) for index in indices]

    own, again = (all_of(lambda index: digest(fetch(original, [index])[0])) for _ in range(2))
    if own != again:  # random, by a generator that nobody else knows
        return
    ours = all_of(lambda index: _through(rest, fetch(view, [index])[0]))
    if own != ours:
        differing = [i for i, a, b in zip(indices, own, ours, strict=True) if a != b]
        raise ValueError(
            f"The transform of the {split} split could not be taken apart: samples {differing[:3]} "
            "come out different. The data set does more with its `transform` than to call it on the"
            " image, or draws random numbers besides." + REMEDY
        )


def check_evaluation(split: str, view: Any, evaluation: Transform) -> None:
    """Checks what the network will see of prepared samples, without augmentation.

    Args:
        split: Its name, for errors.
        view: Its data set, which hands out prepared images.
        evaluation: From a prepared image to what the network sees.

    Raises:
        ValueError: It is random, or moves pixels, so that a map of what the network sees is none
            of the prepared image.
    """
    with isolate_rng(include_cuda=False):
        for index in spread(len(view), FETCHED_AGAIN):
            (item,) = fetch(view, [index])
            if _through(evaluation, item) != _through(evaluation, item):
                raise ValueError(
                    f"Sample {index} of the {split} split differs each time it is evaluated: the "
                    f"transform of validation and test images is random: {evaluation}" + REMEDY
                )
        check_alignment(image_of(fetch(view, [0])[0]), evaluation)


def check_alignment(image: Picture, evaluation: Transform) -> None:
    """Checks that pixels stay in their places: one is changed, and the same must change most.

    Args:
        image: A prepared image.
        evaluation: From there to what the network sees.

    Raises:
        ValueError: They do not.
    """
    before = _seen(image, evaluation)
    _, height, width = shape_of(image)
    places = [(height - 1, width - 1), (0, width - 1), (height // 4, width // 3)]
    for row, column in places:
        pixels = stacked([image]).clone()
        top = 255.0 if pixels.dtype == torch.uint8 else max(1.0, float(pixels.max()))
        pixel = pixels[0, :, row, column]
        pixel.copy_(torch.where(pixel > top / 2, 0.0, top))
        change = (_seen(unstacked(pixels, [image])[0], evaluation) - before).abs().sum(0)
        if change.shape != (height, width) or int(change.argmax()) != row * width + column:
            raise ValueError(
                f"Prepared images have {height}×{width} pixels, but what the network sees of them, "
                f"{tuple(change.shape)}, has them in other places: evaluation begins with a change "
                "of geometry that training does not begin with, so pixels that are ranked could "
                f"not be found again. The transforms differ from here: {evaluation}" + REMEDY
            )


def _through(rest: Transform, item: Any) -> bytes:
    return digest(with_image(item, rest(_copy(image_of(item)))))


def _seen(image: Picture, evaluation: Transform) -> Tensor:
    seen = image_of(evaluation(_copy(image)))
    return stacked([seen])[0].double()


def _copy(image: Picture) -> Picture:
    return image.clone() if isinstance(image, Tensor) else image.copy()
