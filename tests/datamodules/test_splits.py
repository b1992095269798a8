"""Splits: seeded, disjoint, balanced."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fullgrad_lightning.datamodules.splits import balanced_order, check_split_sizes, split_off

LABELS = [0] * 500 + [1] * 300 + [2] * 200


def test_the_order_is_a_permutation_any_part_of_which_is_balanced() -> None:
    order = balanced_order(LABELS, 0)
    assert order.sort().values.equal(torch.arange(1000))
    labels = torch.tensor(LABELS)[order]
    for first in (10, 37, 100, 555):
        for label, share in enumerate((0.5, 0.3, 0.2)):
            assert abs(int((labels[:first] == label).sum()) - first * share) <= 1


def test_the_order_is_random_within_a_class_and_among_classes() -> None:
    first, second = balanced_order([0, 1] * 100, 0), balanced_order([0, 1] * 100, 1)
    assert first.equal(balanced_order([0, 1] * 100, 0)) and not first.equal(second)
    ahead = (first[::2] % 2).double().mean()  # which of the two classes comes first
    assert 0.35 < ahead < 0.65
    assert not first[first % 2 == 0].equal(first[first % 2 == 0].sort().values)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    split_off(LABELS, 100, 50, 0)
    assert torch.get_rng_state().equal(before)


def test_training_and_validation_share_nothing() -> None:
    train, val = split_off(LABELS, 100, None, 0)
    assert len(train) == 900 and len(val) == 100
    assert sorted(train + val) == list(range(1000))
    assert train == sorted(train) and val == sorted(val)
    assert [sum(LABELS[i] == k for i in val) for k in range(3)] == [50, 30, 20]


def test_validation_does_not_depend_on_the_training_size() -> None:
    few, same_val = split_off(LABELS, 100, 50, 7)
    more, val = split_off(LABELS, 100, 200, 7)
    assert val == same_val and set(few) < set(more) and len(few) == 50
    assert [sum(LABELS[i] == k for i in few) for k in range(3)] == pytest.approx(
        [25, 15, 10], abs=1
    )


def test_a_share_is_a_number() -> None:
    assert split_off(LABELS, 0.1, None, 3) == split_off(LABELS, 100, None, 3)


@pytest.mark.parametrize(
    ("val_size", "train_size", "message"),
    [
        (1000, None, "1000 for validation, of 0 others 0 for training"),
        (100, 901, "100 for validation, of 900 others 901 for training"),
        (0.0001, None, "0 for validation, of 1000 others 1000"),
    ],
)
def test_too_few_samples(val_size: Any, train_size: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_off(LABELS, val_size, train_size, 0)


@pytest.mark.parametrize("val_size", [0, -1, 0.0, 1.0, 1.5, True, "all", None])
def test_bad_validation_sizes(val_size: object) -> None:
    with pytest.raises(ValueError, match="val_size must be an integer ≥ 1, or a share"):
        check_split_sizes(val_size, None)


@pytest.mark.parametrize("train_size", [0, 0.5, False, "all"])
def test_bad_training_sizes(train_size: object) -> None:
    with pytest.raises(ValueError, match="train_size must be an integer ≥ 1 or None"):
        check_split_sizes(0.5, train_size)
