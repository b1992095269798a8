"""Normalisations as users, DataModules and arrays give them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from fullgrad_lightning.utilities.normalization import Normalization


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)),
        ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]),
        (
            torch.tensor([0.5, 0.4, 0.3], dtype=torch.float64),
            torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64),
        ),
        (np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.3, 0.4])),
        (torch.tensor([0.5, 0.4, 0.3], dtype=torch.float64), (0.2, 0.3, 0.4)),
    ],
)
def test_every_form_of_numbers(mean: Any, std: Any) -> None:
    for found in (
        Normalization.of(mean, std),
        Normalization.of_datamodule(SimpleNamespace(mean=mean, std=std)),
    ):
        assert found is not None
        assert found.mean == pytest.approx((0.5, 0.4, 0.3), abs=1e-12)
        assert found.std == pytest.approx((0.2, 0.3, 0.4), abs=1e-12)


def test_integers_and_single_numbers() -> None:
    """A DataModule with ``mean = 0`` or ``mean = (0, 0, 0)`` normalises too."""
    for mean, std in ((0, 1), ((0, 0, 0), (1, 1, 1)), (torch.tensor(0), 1.0)):
        found = Normalization.of_datamodule(SimpleNamespace(mean=mean, std=std))
        assert found is not None and found.for_channels(3) == Normalization((0.0,) * 3, (1.0,) * 3)


def test_the_same_as_torchvision() -> None:
    images = torch.rand(2, 3, 4, 4)
    normalization = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    normalized = normalization.normalize(images)
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    assert torch.allclose(normalized, F.normalize(images, mean, std))
    assert torch.allclose(normalization.denormalize(normalized), images, atol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,), None, "given together"),
        (None, (0.5,), "given together"),
        ((0.5, 0.5), (0.5,) * 3, "one value for each channel"),
        ((), (), "one value for each channel"),
        ((0.5,), (0.0,), "std must be positive"),
        ((float("nan"),), (1.0,), "mean must be finite"),
    ],
)
def test_refused(mean: Any, std: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Normalization.of(mean, std)


@pytest.mark.parametrize(
    "data",
    [
        None,
        SimpleNamespace(),
        SimpleNamespace(mean=lambda: 3, std=lambda: 3),
        SimpleNamespace(mean="grey", std="wide"),
        SimpleNamespace(mean=(0.5,), std=None),
        SimpleNamespace(mean=(True,), std=(1.0,)),
    ],
)
def test_attributes_that_are_something_else(data: Any) -> None:
    assert Normalization.of_datamodule(data) is None


def test_other_images() -> None:
    normalization = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    with pytest.raises(ValueError, match="each of the 4 channels"):
        normalization.normalize(torch.rand(1, 4, 2, 2))
    with pytest.raises(TypeError, match=r"floating point, got torch\.uint8"):
        normalization.normalize(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
