"""Options of every saliency method: checked in the constructor, kept as they are, and obeyed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from torch import nn

from fullgrad_lightning.saliency.registry import saliency_method, saliency_methods
from tests.decomposition.redrawn import images, redraw
from tests.saliency.methods import (
    CHUNKED,
    STOCHASTIC,
    Classifier,
    every_method,
    make,
    option_names,
    relative_error,
)


@pytest.mark.parametrize("name", CHUNKED)
def test_the_internal_batch_bounds_the_rows_and_changes_nothing(name: str) -> None:
    net, x = redraw(Classifier()), images(3, 3, 8, 8)
    targets = torch.tensor([1, 3, 0])
    expected = make(name, internal_batch_size=1000)(net, x, targets)
    for size in (1, 2, 3, 7):
        net.rows = 0
        got = make(name, internal_batch_size=size)(net, x, targets)
        assert net.rows == min(size, 8 if name == "integrated_gradients" else net.rows)
        assert relative_error(got, expected) <= 1e-6


def test_every_method_with_an_internal_batch_is_tested_above() -> None:
    assert {n for n in saliency_methods() if "internal_batch_size" in option_names(n)} == {*CHUNKED}


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        *[(n, {"internal_batch_size": bad}, "internal_batch_size must be an integer ≥ 1")
          for n in CHUNKED for bad in (0, -4, 2.5, None, True)],
        *[(n, {"n_samples": bad}, "n_samples must be an integer ≥ 1")
          for n in CHUNKED[1:] for bad in (0, 1.0, "5")],
        *[(n, {"noise_level": bad}, "noise_level must be ≥ 0")
          for n in CHUNKED[1:] for bad in (-0.1, float("nan"), float("inf"), True)],
        *[(n, {"seed": bad}, "seed must be an integer")
          for n in sorted(STOCHASTIC) for bad in (0.5, None, "0", True)],
        *[("integrated_gradients", {"n_steps": bad}, "n_steps must be an integer ≥ 1")
          for bad in (0, 50.0)],
        *[("gradcam", {"layer": bad}, "layer must be the path of a module")
          for bad in (3, "", nn.Conv2d(1, 1, 1))],
        ("fullgrad", {"sites": "some"}, "sites must be one of"),
        ("simple_fullgrad", {"interpolation": "nearest"}, "interpolation must be one of"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_at_once(name: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        saliency_method(name, **options)


@every_method
def test_options_cannot_be_changed(name: str) -> None:
    method = make(name)
    for option in option_names(name):
        with pytest.raises(FrozenInstanceError):
            setattr(method, option, getattr(method, option))
    assert method == make(name)
