"""Batches in all the forms that data sets have."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.models.batches import images_alone, images_and_labels

X, Y = torch.rand(4, 3, 8, 8), torch.arange(4)


class Named(NamedTuple):
    image: Tensor
    label: Tensor
    mask: Tensor


@pytest.mark.parametrize(
    "batch",
    [(X, Y), [X, Y], (X, Y, torch.zeros(4)), Named(X, Y, X[:, 0] > 0),
     {"image": X, "label": Y, "path": ["a"]}],
    ids=["tuple", "list", "triple", "named", "dict"],
)  # fmt: skip
def test_forms(batch: Any) -> None:
    images, labels = images_and_labels(batch)
    assert images is X and labels is Y
    assert images_alone(batch) is X


@pytest.mark.parametrize("batch", [X, [X], {"image": X}])
def test_images_without_labels(batch: Any) -> None:
    assert images_alone(batch) is X


@pytest.mark.parametrize(
    ("batch", "structure"),
    [
        (X, r"a tensor \(4, 3, 8, 8\)"),
        ({"x": X, "y": Y}, r"\{'x': a tensor \(4, 3, 8, 8\), 'y': a tensor \(4,\)\}"),
        ((X, ["a"]), r"\(a tensor \(4, 3, 8, 8\), \(str\)\)"),
        ((X,), r"\(a tensor \(4, 3, 8, 8\)\)"),
        (None, "NoneType"),
    ],
)
def test_other_forms_are_described(batch: Any, structure: str) -> None:
    with pytest.raises(TypeError, match=f"A batch must be .*; got {structure}"):
        images_and_labels(batch)


@pytest.mark.parametrize("batch", [{"x": X}, ["a"], [], None])
def test_no_images(batch: Any) -> None:
    with pytest.raises(TypeError, match="A batch must be"):
        images_alone(batch)
