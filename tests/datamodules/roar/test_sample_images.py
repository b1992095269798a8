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

from fullgrad_lightning.datamodules.roar.sample_images import (
    get_image,
    get_images,
    image_shape,
    replace_image,
    stack_images,
    unstack_images,
)
from fullgrad_lightning.utilities.samples import entry
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
    assert get_image(sample) is IMAGE
    changed = replace_image(sample, OTHER)
    assert type(changed) is type(wanted) and get_image(changed) is OTHER
    assert get_image(sample) is IMAGE, "not modified"
    nothing: Any = None
    assert replace_image(changed, nothing) == SAMPLES[name](nothing), "all else is as it was"


@pytest.mark.parametrize("name", list(SAMPLES))
def test_of_a_batch_the_first_is_searched(name: str) -> None:
    images, key = get_images([SAMPLES[name](image) for image in (IMAGE, OTHER)])
    assert images[0] is IMAGE and images[1] is OTHER
    assert entry(SAMPLES[name](OTHER), key) is OTHER


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ((3, IMAGE), r"got int 3, from a sample that is tuple\(int, tensor"),
        ({"label": 3}, r"a sample that is dict\('label': int\)"),
        (torch.rand(4, 5), r"got tensor \(4, 5\) of float32"),
        (torch.ones(3, 4, 5, dtype=torch.int64), "of int64"),
        (np.zeros((4, 5, 3)), r"got NumPy array \(4, 5, 3\)"),
        (Image.new("P", (4, 5)), "got PIL image of mode P"),
        ("a.png", "got str"),
        ((), "got tuple"),
    ],
)
def test_no_image(sample: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        get_image(sample)


@pytest.mark.parametrize("channels", [1, 3])
def test_pil_images_keep_their_bytes(channels: int) -> None:
    arrays = pictures(6, 4, 5, channels).squeeze(-1).numpy()
    images = [Image.fromarray(array) for array in arrays]
    stack = stack_images(images)
    assert stack.shape == (6, channels, 4, 5) and stack.dtype == torch.uint8
    assert image_shape(images[0]) == (channels, 4, 5)
    for array, image, again in zip(arrays, images, unstack_images(stack, images), strict=True):
        assert isinstance(again, Image.Image) and again.mode == image.mode
        assert again.tobytes() == array.tobytes()


def test_pil_images_of_different_kinds_are_not_mixed() -> None:
    for other in (Image.new("RGB", (5, 4)), Image.new("L", (4, 5)), Image.new("P", (5, 4))):
        with pytest.raises(ValueError, match="one mode and size"):
            stack_images([Image.new("L", (5, 4)), other])


def test_tensors_keep_their_types() -> None:
    for kind in (Tensor, tv_tensors.Image):
        images = [torch.rand(3, 4, 5).as_subclass(kind) for _ in range(4)]
        stack = stack_images(images)
        assert type(stack) is Tensor
        again = unstack_images(stack, images)
        assert all(type(image) is kind for image in again)
        assert all(a.equal(b) for a, b in zip(images, again, strict=True))  # type: ignore[arg-type]
        stack.zero_()
        assert all(image.any() for image in images), "memory of its own"
