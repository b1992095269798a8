"""Fixtures of the tests of all saliency methods: their options and a network."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.registry import (
    saliency_method,
    saliency_method_options,
    saliency_methods,
)

# Few draws and steps: what is promised does not depend on how many.
OPTIONS: dict[str, dict[str, Any]] = {
    "smooth_fullgrad": {"n_samples": 5},
    "smoothgrad": {"n_samples": 5},
    "smoothgrad_squared": {"n_samples": 5},
    "vargrad": {"n_samples": 5},
    "integrated_gradients": {"n_steps": 8},
    "blurred": {"method": "fullgrad", "sigma": 1.0},
}
STOCHASTIC = {"smooth_fullgrad", "smoothgrad", "smoothgrad_squared", "vargrad", "random"}
CONTROLS = {"random", "sobel"}
CHUNKED = [
    "integrated_gradients", "smooth_fullgrad", "smoothgrad", "smoothgrad_squared", "vargrad",
]  # fmt: skip

every_method = pytest.mark.parametrize("name", saliency_methods())


def make(name: str, **options: Any) -> SaliencyMethod:
    return saliency_method(name, **{**OPTIONS.get(name, {}), **options})


def relative_error(got: Tensor, expected: Tensor) -> float:
    """max|got − expected| / max|expected|, 0/0 = 0: a map of Grad-CAM may be zero everywhere."""
    error, size = (got - expected).abs().max(), expected.abs().max()
    return 0.0 if error == 0 else float(error / size)


def option_names(name: str) -> set[str]:
    return set(saliency_method_options(name))


class Classifier(nn.Module):
    """Biases of every kind, an in-place ReLU, an implicit bias, two resolutions."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.one, self.bn = nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.two, self.head = nn.Conv2d(8, 6, 3, padding=1), nn.Linear(6, 5)
        self.rows = 0  # the largest batch

    def forward(self, x: Tensor) -> Tensor:
        self.rows = max(self.rows, len(x))
        x = F.max_pool2d(F.relu(self.bn(self.one(x)), inplace=True), 2)
        return self.head(F.gelu(self.two(x)).mean((2, 3)))
