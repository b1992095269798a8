"""Seeds that follow from (purpose, seed, epoch, …), and an order of samples drawn from them."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sized
from typing import Any, cast

import numpy as np
import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch.utils.data import Sampler


class EpochSampler(Sampler[Any]):
    """The order of another sampler, drawn for (seed, epoch); of several processes, a share.

    The processes deal the samples out in turn; some are repeated, so that all have as many.

    Args:
        sampler: A sampler of indices or of batches. Everything it draws, from a generator of its
            own or from the global ones, is seeded.
        seed: The seed of the training.
        epoch: The epoch that is drawn for, until ``set_epoch``.
        rank, world_size: Number of this process, and of all.

    Attributes:
        generator: A generator for the loader, which draws the seeds of its workers from it.

    Examples:
        >>> from torch.utils.data import RandomSampler
        >>> first = list(EpochSampler(RandomSampler(range(8)), seed=0, epoch=3))
        >>> first == list(EpochSampler(RandomSampler(range(8)), seed=0, epoch=3))
        True
    """

    def __init__(
        self, sampler: Sampler[Any], *, seed: int, epoch: int = 0, rank: int = 0,
        world_size: int = 1,
    ) -> None:  # fmt: skip
        self.sampler, self.seed = sampler, seed
        self.rank, self.world_size = rank, world_size
        self.generator = torch.Generator()
        self.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch that is drawn for from now on."""
        self.epoch = epoch
        self.generator.manual_seed(training_seed("workers", self.seed, epoch, self.rank))

    def __len__(self) -> int:
        return math.ceil(len(cast(Sized, self.sampler)) / self.world_size)

    def __iter__(self) -> Iterator[Any]:
        for sampler in (self.sampler, getattr(self.sampler, "sampler", None)):
            if isinstance(generator := getattr(sampler, "generator", None), torch.Generator):
                generator.manual_seed(training_seed("order", self.seed, self.epoch))
        with isolate_rng():
            seed_everything("order", self.seed, self.epoch)  # the same in all processes
            order = list(self.sampler)
        order += order[: len(self) * self.world_size - len(order)]
        return iter(order[self.rank :: self.world_size])


def training_seed(*parts: str | int) -> int:
    """Derives a seed (63 bits) from a purpose and numbers, unlike their sum without collisions.

    Examples:
        >>> training_seed("order", 0, 1) != training_seed("order", 1, 0)
        True
    """
    # Two hashes must stay: stored ranks depend on utilities.seeds.derive_seed, and the trainings of
    # existing grids on this one.
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def seed_everything(*parts: str | int) -> None:
    """Seeds the global generators of Python, NumPy, torch and all its devices."""
    seed = training_seed(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - augmentations draw from the global one
    torch.manual_seed(seed)
