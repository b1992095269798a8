"""Checks of a data set's samples before its pixels are ranked or replaced, and their fingerprint.

Nothing here touches the global generators: training draws the same numbers without these checks.

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

from fullgrad_lightning.datamodules.roar.sample_images import (
    Picture,
    get_image,
    image_shape,
    replace_image,
    stack_images,
    unstack_images,
)
from fullgrad_lightning.datamodules.roar.transform_split import REMEDY
from fullgrad_lightning.datamodules.transforms import Transform
from fullgrad_lightning.utilities.indices import evenly_spaced_indices

FINGERPRINT_SAMPLES = 64  # of each split
REPEATED_SAMPLES = 16  # of those: an image mirrored half of the time passes once in 65,536


def fetch_samples(dataset: Any, indices: Sequence[int]) -> list[Any]:
    """Returns samples, in one call if the data set offers it."""
    if callable(getattr(dataset, "__getitems__", None)):
        return list(dataset.__getitems__(list(indices)))
    return [dataset[index] for index in indices]


def hash_sample(sample: object) -> bytes:
    """Returns a hash of the tensors, arrays, images and numbers in a sample, not of its strings.

    Examples:
        >>> hash_sample((torch.zeros(2), 3, "a.png")) == hash_sample((torch.zeros(2), 3, "b.png"))
        True
    """
    digest = hashlib.sha256()
    for part in pytree.tree_leaves(sample):
        if isinstance(part, Tensor):
            part = part.detach().cpu().as_subclass(Tensor).contiguous()
            content = part.reshape(-1).view(torch.uint8).numpy().tobytes()
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode() + content)
        elif isinstance(part, Image.Image | np.ndarray):
            array = np.asarray(part)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        elif isinstance(part, bool | int | float | np.number):
            digest.update(repr(float(part)).encode())
    return digest.digest()


def fingerprint_samples(
    split: str, view: Any, shape: tuple[int, int, int] | None = None, remedy: str = REMEDY
) -> tuple[tuple[int, int, int], bytes]:
    """Checks prepared samples, evenly spaced over a split: that none changes or has another shape.

    Args:
        split: The split's name, for errors.
        view: Map-style data set of samples with prepared images.
        shape: (C, H, W) that every image must have; ``None``: that of the first.
        remedy: The end of errors.

    Returns:
        The common shape, and a hash of the number of samples and of 64 of them.
    """
    if not len(view):
        raise ValueError(f"The data set of the {split} split is empty.")
    digest = hashlib.sha256(str(len(view)).encode())
    indices = evenly_spaced_indices(len(view), FINGERPRINT_SAMPLES)
    repeated = {indices[i] for i in evenly_spaced_indices(len(indices), REPEATED_SAMPLES)}
    with isolate_rng(include_cuda=False):
        for index in indices:
            (sample,) = fetch_samples(view, [index])
            image = get_image(sample)
            shape = image_shape(image) if shape is None else shape
            check_shape(image, shape, split, index, remedy)
            sample_hash = hash_sample(sample)
            if index in repeated and hash_sample(fetch_samples(view, [index])[0]) != sample_hash:
                raise ValueError(
                    f"Sample {index} of the {split} split is not the same when it is fetched again:"
                    " the data set augments it before pixels could be replaced. Everything random "
                    "must be in its `transform` (an attribute), after all deterministic steps."
                    + remedy
                )
            digest.update(sample_hash)
    assert shape is not None
    return shape, digest.digest()


def check_shape(
    image: Picture, shape: tuple[int, int, int], split: str, index: int, remedy: str = REMEDY
) -> None:
    """Checks that a prepared image has the shape of all others."""
    if image_shape(image) != shape:
        raise ValueError(
            f"All prepared images must have one shape, which is {shape} (C, H, W), but sample "
            f"{index} of the {split} split has {image_shape(image)}: the deterministic steps that "
            "training and evaluation begin with leave images of different sizes. (`Resize(size)` "
            "of one number keeps the proportions.)" + remedy
        )


def check_split_transform(split: str, view: Any, remainder: Transform, original: Any) -> None:
    """Checks that prepared samples, after the remainder of the transform, are the original ones.

    The remainder may be random: both are drawn from the same state of the global generators.
    """
    indices = evenly_spaced_indices(len(view), REPEATED_SAMPLES)

    def hash_samples(dataset: Any, hash_one: Callable[[Any], bytes]) -> list[bytes]:
        with isolate_rng(include_cuda=False):  # each time from the same state
            return [hash_one(fetch_samples(dataset, [index])[0]) for index in indices]

    expected = hash_samples(original, hash_sample)
    if expected != hash_samples(original, hash_sample):  # random, and not from a global generator
        return
    hashes = hash_samples(view, lambda sample: _transformed_hash(remainder, sample))
    if expected != hashes:
        differing = [i for i, a, b in zip(indices, expected, hashes, strict=True) if a != b]
        raise ValueError(
            f"The transform of the {split} split could not be split: samples {differing[:3]} "
            "come out different. The data set does more with its `transform` than to call it on the"
            " image, or draws random numbers in addition." + REMEDY
        )


def check_evaluation(split: str, view: Any, evaluation: Transform) -> None:
    """Checks that evaluation is deterministic and moves no pixels of prepared images.

    Otherwise a map of the network's input would not be one of the prepared image.
    """
    with isolate_rng(include_cuda=False):
        for index in evenly_spaced_indices(len(view), REPEATED_SAMPLES):
            (sample,) = fetch_samples(view, [index])
            if _transformed_hash(evaluation, sample) != _transformed_hash(evaluation, sample):
                raise ValueError(
                    f"Sample {index} of the {split} split differs each time it is evaluated: the "
                    f"transform of validation and test images is random: {evaluation}" + REMEDY
                )
        check_alignment(get_image(fetch_samples(view, [0])[0]), evaluation)


def check_alignment(image: Picture, evaluation: Transform) -> None:
    """Checks that pixels keep their positions: if one is changed, the same must change most."""
    before = _evaluate(image, evaluation)
    _, height, width = image_shape(image)
    for row, column in ((height - 1, width - 1), (0, width - 1), (height // 4, width // 3)):
        pixels = stack_images([image]).clone()
        top = 255.0 if pixels.dtype == torch.uint8 else max(1.0, float(pixels.max()))
        pixel = pixels[0, :, row, column]
        pixel.copy_(torch.where(pixel > top / 2, 0.0, top))
        changed = _evaluate(unstack_images(pixels, [image])[0], evaluation)
        change = (changed - before).abs().sum(0)
        if change.shape != (height, width) or int(change.argmax()) != row * width + column:
            raise ValueError(
                f"Prepared images have {height}×{width} pixels, but the network's input, "
                f"{tuple(change.shape)}, has them in other places: evaluation begins with a change "
                "of geometry that training does not begin with, so ranked pixels could not be "
                f"identified in it. The transforms differ from here: {evaluation}" + REMEDY
            )


def _transformed_hash(remainder: Transform, sample: Any) -> bytes:
    return hash_sample(replace_image(sample, remainder(_copy(get_image(sample)))))


def _evaluate(image: Picture, evaluation: Transform) -> Tensor:
    return stack_images([get_image(evaluation(_copy(image)))])[0].double()


def _copy(image: Picture) -> Picture:
    return image.clone() if isinstance(image, Tensor) else image.copy()
