"""Argument checks: what passes, and what each error names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fullgrad_lightning.utilities.checks import (
    check_choice,
    check_distinct_ints,
    check_fraction,
    check_int,
)
from fullgrad_lightning.utilities.describe import describe
from fullgrad_lightning.utilities.targets import check_target, resolve_target


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, 0, -1, float("nan")])
def test_no_integer_from_1(value: Any) -> None:
    with pytest.raises(ValueError, match="steps must be an integer ≥ 1, got"):
        check_int("steps", value, 1)


@pytest.mark.parametrize("value", [[], [0, 0], [-1], [0.5], 3, "12", None, [True]])
def test_no_distinct_integers(value: Any) -> None:
    with pytest.raises(ValueError, match="seeds must be distinct integers ≥ 0, at least one"):
        check_distinct_ints("seeds", value)


@pytest.mark.parametrize("value", [-0.1, 1.1, True, "0.5", None, float("nan")])
def test_no_fraction(value: Any) -> None:
    with pytest.raises(ValueError, match="fraction must be a share of the pixels"):
        check_fraction("fraction", value)


def test_choices_are_listed() -> None:
    check_choice("split", "val", ("val", "test"))
    with pytest.raises(ValueError, match="split must be one of 'val', 'test', got 'train'"):
        check_choice("split", "train", ("val", "test"))


@pytest.mark.parametrize("target", ["top", -1, True, 1.0, None, [3], torch.tensor(3)])
def test_no_target(target: Any) -> None:
    with pytest.raises(ValueError, match="target must be 'predicted', 'label' or a class index"):
        check_target(target)


def test_targets() -> None:
    labels = torch.tensor([2, 0], dtype=torch.int32)
    for target in ("predicted", "label", 0, 7):
        check_target(target)
    assert resolve_target("predicted", labels) is None and resolve_target(7, None) == 7
    resolved = resolve_target("label", labels)
    assert isinstance(resolved, torch.Tensor) and resolved.tolist() == [2, 0]
    assert resolved.dtype == torch.int64
    for missing in (None, torch.eye(2), torch.rand(2)):
        with pytest.raises(TypeError, match="target='label' needs class indices"):
            resolve_target("label", missing)


def test_long_containers_are_shortened() -> None:
    assert describe([1] * 9) == "list(int, int, int, int, int, int, …)"
    assert describe([[[[1]]]]) == "list(list(list(list)))"
    assert describe({}) == "dict()" and describe(()) == "tuple()"
