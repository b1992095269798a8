"""Order and shares of the training samples."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
)

from fullgrad_lightning.evaluation.roar.epoch_sampler import EpochSampler

SIZE = 11


class Shuffled(Sampler[int]):
    """Draws from the global generators of Python and NumPy."""

    def __iter__(self) -> Any:
        order = list(range(SIZE))
        random.shuffle(order)
        return iter(np.random.permutation(order).tolist())

    def __len__(self) -> int:
        return SIZE


def samplers() -> dict[str, Sampler[int]]:
    generator = torch.Generator()
    return {
        "random": RandomSampler(range(SIZE)),
        "own generator": RandomSampler(range(SIZE), generator=generator),
        "weighted": WeightedRandomSampler([1.0] * SIZE, SIZE),
        "of one's own": Shuffled(),
        "batches": BatchSampler(RandomSampler(range(SIZE), generator=generator), 3, False),
    }


@pytest.mark.parametrize("name", samplers())
def test_the_order_follows_from_seed_and_epoch_alone(name: str) -> None:
    def order(seed: int, epoch: int) -> list[Any]:
        return list(EpochSampler(samplers()[name], seed=seed, epoch=epoch))

    sampler = EpochSampler(samplers()[name], seed=1)
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    list(sampler)
    sampler.set_epoch(4)
    assert list(sampler) == order(1, 4)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert before == after
    assert order(1, 4) not in (order(1, 5), order(2, 4), order(4, 1))


def test_in_sequence() -> None:
    assert list(EpochSampler(SequentialSampler(range(SIZE)), seed=1)) == list(range(SIZE))


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_processes_share_one_order(world_size: int) -> None:
    def share(rank: int) -> EpochSampler:
        inner = RandomSampler(range(SIZE))
        return EpochSampler(inner, seed=3, epoch=2, rank=rank, world_size=world_size)

    shares = [list(share(rank)) for rank in range(world_size)]
    whole = list(EpochSampler(RandomSampler(range(SIZE)), seed=3, epoch=2))
    assert {len(part) for part in shares} == {len(share(0))}
    dealt = [sample for turn in zip(*shares, strict=True) for sample in turn]
    assert dealt[:SIZE] == whole and dealt[SIZE:] == whole[: len(dealt) - SIZE]


def test_seeds_of_workers_differ_by_process_and_epoch() -> None:
    seeds = {
        EpochSampler(
            RandomSampler(range(3)), seed=0, epoch=epoch, rank=rank
        ).generator.initial_seed()
        for epoch in (0, 1)
        for rank in (0, 1)
    }
    assert len(seeds) == 4
