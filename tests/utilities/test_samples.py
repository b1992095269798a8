"""One reader of samples, batches and outputs: every container, every room."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fullgrad_lightning.utilities.samples import (
    batch_images,
    batch_labels,
    batch_masks,
    entry,
    find_image,
    find_logits,
    image_key,
    replace_entry,
    require_images,
    require_images_and_labels,
)

X, Y, M = torch.rand(4, 3, 8, 8), torch.arange(4), torch.zeros(4, 8, 8, dtype=torch.bool)
LabelFirst = namedtuple("LabelFirst", "label pixel_values mask")
Unnamed = namedtuple("Unnamed", "a b")
CategoryFirst = namedtuple("CategoryFirst", "category image")


@dataclass(frozen=True)
class Record:
    y: Tensor
    img: Tensor


@dataclass
class Output:
    logits: Tensor
    hidden: Tensor | None = None


BATCHES: list[tuple[Any, bool, bool]] = [  # batch, has labels, has masks
    (X, False, False),
    ((X, Y), True, False),
    ([X, Y], True, False),
    ([X], False, False),
    ((X, Y, M), True, False),  # a third entry may be anything
    ({"image": X, "label": Y, "mask": M}, True, True),
    ({"targets": Y, "images": X}, True, False),
    ({"pixel_values": X, "labels": Y}, True, False),  # Hugging Face
    ({"image": ["a.png"], "pixel_values": X, "labels": Y}, True, False),
    (LabelFirst(Y, X, M), True, True),
    (Unnamed(X, Y), True, False),
    (CategoryFirst(Y, X), False, False),
    (SimpleNamespace(x=X, y=Y), True, False),
    (Record(Y, X), True, False),
    ((X, Y.float()), False, False),
    ((X, torch.eye(4)), False, False),
    ({"x": X, "y": Y, "mask": torch.zeros(4)}, True, False),
]


@pytest.mark.parametrize(("batch", "has_labels", "has_masks"), BATCHES)
def test_entries_of_batches(batch: Any, has_labels: bool, has_masks: bool) -> None:
    assert batch_images(batch) is X and require_images(batch) is X
    assert batch_labels(batch) is (Y if has_labels else None)
    assert batch_masks(batch) is (M if has_masks else None)
    if has_labels:
        images, labels = require_images_and_labels(batch)
        assert images is X and labels is Y


@pytest.mark.parametrize(
    "batch", [{"views": [X, X]}, None, "text", 3, [], [[X, X], Y], {}, {"image": "a.png"}]
)
def test_batches_without_images(batch: Any) -> None:
    assert batch_images(batch) is None
    with pytest.raises(TypeError, match="Found no images in a batch that is"):
        require_images(batch)


def test_missing_labels_are_named() -> None:
    with pytest.raises(TypeError, match=r"no labels in a batch that is dict\('image': tensor"):
        require_images_and_labels({"image": X})


@pytest.mark.parametrize("output", [Y, (Y, X), {"logits": Y}, Output(Y), Output(Y, X)])
def test_logits(output: Any) -> None:
    assert find_logits(output) is Y


class Labelled(NamedTuple):
    label: int
    image: Any


@dataclass(frozen=True)
class Sample:
    image: Any
    label: int = 3


IMAGE, OTHER = torch.rand(3, 4, 5), torch.rand(3, 4, 5)
SAMPLES = {
    "bare": lambda image: image,
    "tuple": lambda image: (image, 3, "a.png"),
    "alone in a tuple": lambda image: (image,),
    "list": lambda image: [image, 3],
    "named tuple": lambda image: Labelled(3, image),
    "dict": lambda image: {"label": 3, "pixel_values": image},
    "ordered dict": lambda image: OrderedDict(x=image, y=3),
    "dataclass": lambda image: Sample(image),
    "object": lambda image: SimpleNamespace(image=image, label=3),
}


@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("image", [IMAGE, Image.new("RGB", (5, 4)), np.zeros((4, 5, 3))])
def test_an_image_is_replaced_in_a_copy(name: str, image: Any) -> None:
    sample = SAMPLES[name](image)
    key = image_key(sample)
    assert entry(sample, key) is image
    changed = replace_entry(sample, key, OTHER)
    assert type(changed) is type(SAMPLES[name](OTHER)) and find_image(changed) is OTHER
    assert find_image(sample) is image, "the sample is not modified"
    nothing = replace_entry(changed, key, None)
    assert nothing == SAMPLES[name](None), "all other entries stay"
