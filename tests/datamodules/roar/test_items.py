"""Images in samples of all kinds, taken out and put back."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors

from fullgrad_lightning.datamodules.roar.items import (
    image_of,
    shape_of,
    stacked,
    unstacked,
    with_image,
)
from tests.datamodules.fakes import pictures


class Labelled(NamedTuple):
    label: int
    image: Any


IMAGE, OTHER = torch.rand(3, 4, 5), torch.rand(3, 4, 5)
SAMPLES = {
    "bare": (lambda image: image),
    "tuple": (lambda image: (image, 3, "a.png")),
    "alone in a tuple": (lambda image: (image,)),
    "list": (lambda image: [image, 3]),
    "named tuple": (lambda image: Labelled(3, image)),
    "dict": (lambda image: {"label": 3, "pixel_values": image}),
    "ordered dict": (lambda image: OrderedDict(x=image, y=3)),
}


@pytest.mark.parametrize("name", list(SAMPLES))
def test_taken_out_and_put_back(name: str) -> None:
    sample, wanted = SAMPLES[name](IMAGE), SAMPLES[name](OTHER)
    assert image_of(sample) is IMAGE
    changed = with_image(sample, OTHER)
    assert type(changed) is type(wanted) and image_of(changed) is OTHER
    assert image_of(sample) is IMAGE, "not modified"
    nothing: Any = None
    assert with_image(changed, nothing) == SAMPLES[name](nothing), "all else is as it was"


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ((3, IMAGE), "came a int, from a sample that is a tuple of int, Tensor"),
        ({"label": 3}, "a sample that is a dict with 'label'"),
        (torch.rand(4, 5), r"came a tensor \(4, 5\) of torch.float32"),
        (torch.ones(3, 4, 5, dtype=torch.int64), "of torch.int64"),
        (np.zeros((4, 5, 3)), r"came a NumPy array \(4, 5, 3\)"),
        (Image.new("P", (4, 5)), "a PIL image of mode P"),
        ("a.png", "came a str"),
        ((), "came a tuple"),
    ],
)
def test_no_image(sample: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        image_of(sample)


@pytest.mark.parametrize("channels", [1, 3])
def test_pil_images_keep_their_bytes(channels: int) -> None:
    arrays = pictures(6, 4, 5, channels).squeeze(-1).numpy()
    images = [Image.fromarray(array) for array in arrays]
    stack = stacked(images)
    assert stack.shape == (6, channels, 4, 5) and stack.dtype == torch.uint8
    assert shape_of(images[0]) == (channels, 4, 5)
    for array, image, again in zip(arrays, images, unstacked(stack, images), strict=True):
        assert isinstance(again, Image.Image) and again.mode == image.mode
        assert again.tobytes() == array.tobytes()


def test_pil_images_of_different_kinds_are_not_mixed() -> None:
    for other in (Image.new("RGB", (5, 4)), Image.new("L", (4, 5)), Image.new("P", (5, 4))):
        with pytest.raises(ValueError, match="one mode and size"):
            stacked([Image.new("L", (5, 4)), other])


def test_tensors_keep_their_types() -> None:
    for kind in (Tensor, tv_tensors.Image):
        images = [torch.rand(3, 4, 5).as_subclass(kind) for _ in range(4)]
        stack = stacked(images)
        assert type(stack) is Tensor
        again = unstacked(stack, images)
        assert all(type(image) is kind for image in again)
        assert all(a.equal(b) for a, b in zip(images, again, strict=True))  # type: ignore[arg-type]
        stack.zero_()
        assert all(image.any() for image in images), "memory of its own"
