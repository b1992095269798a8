"""Saliency methods by name."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.baselines.smoothgrad import SmoothGrad
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.registry import saliency_method, saliency_methods
from tests.saliency.methods import make


def test_the_names() -> None:
    assert saliency_methods() == (
        "fullgrad", "simple_fullgrad", "smooth_fullgrad", "input_gradient", "input_x_gradient",
        "integrated_gradients", "smoothgrad", "smoothgrad_squared", "vargrad", "gradcam",
        "guided_backprop", "random", "sobel", "blurred",
    )  # fmt: skip


def test_each_name_has_its_own_class_and_the_common_signature() -> None:
    methods = [make(name) for name in saliency_methods()]
    assert len({type(method) for method in methods}) == len(methods)
    expected = inspect.signature(SaliencyMethod.__call__)
    for method in methods:
        assert inspect.signature(type(method).__call__) == expected


def test_options_arrive() -> None:
    options: dict[str, Any] = {
        "n_samples": 7,
        "noise_level": 0.3,
        "seed": 4,
        "internal_batch_size": 2,
    }
    assert saliency_method("smoothgrad", **options) == SmoothGrad(**options)
    assert saliency_method("fullgrad", postprocess="abs") == FullGrad(postprocess="abs")


@pytest.mark.parametrize(
    ("name", "near"),
    [("full_grad", "fullgrad"), ("FullGrad", "fullgrad"), ("grad-cam", "gradcam"),
     ("smooth_grad", "smoothgrad"), ("integrated_gradient", "integrated_gradients")],
)  # fmt: skip
def test_an_unknown_name_is_told_the_closest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"No saliency method '{name}'. Did you mean '{near}'"):
        saliency_method(name)


def test_an_unknown_name_is_told_all_names() -> None:
    with pytest.raises(ValueError, match="No saliency method 'zzz'") as caught:
        saliency_method("zzz")
    assert "Did you mean" not in str(caught.value)
    assert ", ".join(saliency_methods()) in str(caught.value)


def test_an_unknown_option_is_told_the_options() -> None:
    with pytest.raises(TypeError, match="'vargrad' has no option 'samples'") as caught:
        saliency_method("vargrad", samples=3)
    assert "n_samples, noise_level, seed, internal_batch_size" in str(caught.value)
    with pytest.raises(TypeError, match=r"'sobel' has no option 'size'\. Its options: none"):
        saliency_method("sobel", size=3)
