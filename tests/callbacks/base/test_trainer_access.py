"""Positions in the data set, and the last batch of a loader."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fullgrad_lightning.callbacks.base.trainer_access import dataset_positions, is_last_batch


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
