"""Where images, labels, masks and logits are found."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.batches import (
    input_of,
    label_of,
    logits_of,
    mask_of,
    structure,
)
from fullgrad_lightning.callbacks.base.trainer_access import dataset_positions, is_last_batch

X, Y, M = torch.rand(4, 3, 8, 8), torch.arange(4), torch.zeros(4, 8, 8, dtype=torch.bool)
Sample = namedtuple("Sample", "label pixel_values mask")
Plain = namedtuple("Plain", "a b")


@dataclass
class Output:
    logits: Tensor
    hidden: Tensor | None = None


@pytest.mark.parametrize(
    ("batch", "has_label", "has_mask"),
    [
        (X, False, False),
        ((X, Y), True, False),
        ([X, Y], True, False),
        ([X], False, False),
        ((X, Y, M), True, False),  # a third entry may be anything
        ({"image": X, "label": Y, "mask": M}, True, True),
        ({"targets": Y, "images": X}, True, False),
        (Sample(Y, X, M), True, True),
        (Plain(X, Y), True, False),
        (SimpleNamespace(x=X, y=Y), True, False),
        ((X, Y.float()), False, False),
        ((X, torch.eye(4)), False, False),
        ({"x": X, "y": Y, "mask": torch.zeros(4)}, True, False),
    ],
)
def test_batches(batch: Any, has_label: bool, has_mask: bool) -> None:
    assert input_of(batch) is X
    assert label_of(batch) is (Y if has_label else None)
    assert mask_of(batch) is (M if has_mask else None)


@pytest.mark.parametrize("batch", [{"views": [X, X]}, None, "text", 3, [], [[X, X], Y], {}])
def test_no_images(batch: Any) -> None:
    assert input_of(batch) is None


@pytest.mark.parametrize("output", [Y, (Y, X), {"logits": Y}, Output(Y), Output(Y, X)])
def test_logits(output: Any) -> None:
    assert logits_of(output) is Y


def test_structure() -> None:
    assert structure((X, {"label": Y, "id": "a"})) == (
        "tuple(tensor (4, 3, 8, 8) of float32, dict('label': tensor (4,) of int64, 'id': str))"
    )
    assert structure([1] * 9) == "list(int, int, int, int, int, int, …)"


def run(**options: Any) -> Any:
    defaults = {"world_size": 1, "global_rank": 0, "testing": False, "num_val_batches": [3]}
    return SimpleNamespace(**{**defaults, **options})


@pytest.mark.parametrize(("processes", "size"), [(1, 10), (2, 10), (2, 11), (3, 10), (4, None)])
def test_positions_are_those_of_the_distributed_sampler(processes: int, size: int | None) -> None:
    from torch.utils.data import DistributedSampler

    data = range(size or 12)
    for rank in range(processes):
        sampler = DistributedSampler(data, processes, rank, shuffle=False)  # type: ignore[arg-type]
        trainer = run(world_size=processes, global_rank=rank)
        mine = list(sampler)
        got = dataset_positions(trainer, 0, 2, size) + dataset_positions(
            trainer, 2, len(mine) - 2, size
        )
        padding = [index for index, position in zip(mine, got, strict=True) if position is None]
        assert [p for p in got if p is not None] == mine[: len(mine) - len(padding)]
        assert len(padding) <= 1  # the repeated ones at the end
        if size is not None and rank == processes - 1:
            assert len(padding) == (len(mine) * processes > size)


def test_last_batch() -> None:
    assert [is_last_batch(run(), i, 0) for i in range(3)] == [False, False, True]
    assert is_last_batch(run(testing=True, num_test_batches=[5, 1]), 0, 1)
    assert not is_last_batch(run(num_val_batches=[float("inf")]), 10**6, 0)
