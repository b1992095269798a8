"""A training loader whose order and workers follow from (seed, epoch)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any, cast

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler
from torch.utils.data.distributed import DistributedSampler

from fullgrad_lightning.datamodules.dataloaders import workers
from fullgrad_lightning.evaluation.roar.seeding import seed_everything, seed_from


class EpochSampler(Sampler[Any]):
    """The order of another sampler, drawn anew for (seed, epoch); of several processes, a share.

    The processes deal the samples out in turn; some are repeated, so that all have as many.

    Args:
        sampler: Of samples or of batches. Whatever it draws, from a generator of its own or from
            the global ones, is seeded.
        seed: Of the training.
        epoch: Of what is drawn, until ``set_epoch``.
        rank: Number of this process, 0…world_size − 1.
        world_size: Number of processes.

    Attributes:
        generator: For the loader, which draws its workers' seeds from it.

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
        """What is drawn from now on is that of an epoch."""
        self.epoch = epoch
        self.generator.manual_seed(seed_from("workers", self.seed, epoch, self.rank))

    def __len__(self) -> int:
        return math.ceil(len(cast(Sized, self.sampler)) / self.world_size)

    def __iter__(self) -> Iterator[Any]:
        for drawing in (self.sampler, getattr(self.sampler, "sampler", None)):
            if isinstance(own := getattr(drawing, "generator", None), torch.Generator):
                own.manual_seed(seed_from("order", self.seed, self.epoch))
        with isolate_rng():
            seed_everything("order", self.seed, self.epoch)  # the same in all processes
            order = list(self.sampler)
        order += order[: len(self) * self.world_size - len(order)]
        return iter(order[self.rank :: self.world_size])


def reproducible_loader(
    found: object, hook: str, *, seed: int, epoch: int, rank: int = 0, world_size: int = 1
) -> tuple[DataLoader[Any], EpochSampler]:
    """The same loader with an ``EpochSampler``, and workers that live for one epoch.

    Workers that live longer keep random numbers that no checkpoint has.

    Args:
        found: What ``train_dataloader()`` returned.
        hook: Its name with that of its class, for errors.
        seed, epoch, rank, world_size: As of ``EpochSampler``.

    Raises:
        TypeError: Not one DataLoader over a map-style data set, or one with a sampler for several
            processes.
    """
    if not isinstance(found, DataLoader):
        raise _refused(hook, f"a {type(found).__name__}")
    if isinstance(found.dataset, IterableDataset) or found.batch_sampler is None:
        raise _refused(hook, f"one of {type(found.dataset).__name__} without numbered batches")
    if isinstance(found.sampler, DistributedSampler):
        raise _refused(hook, "one with a DistributedSampler, while the cell deals samples out")
    loader: DataLoader[Any] = found
    single = type(loader.batch_sampler) is BatchSampler
    sampler = EpochSampler(
        cast("Sampler[Any]", loader.sampler if single else loader.batch_sampler),
        seed=seed, epoch=epoch, rank=rank, world_size=world_size,
    )  # fmt: skip
    order: dict[str, Any] = {"batch_sampler": sampler}
    if single:
        order = {
            "sampler": sampler, "batch_size": loader.batch_size, "drop_last": loader.drop_last,
        }  # fmt: skip
    made: DataLoader[Any] = DataLoader(
        loader.dataset,
        **order,
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
        generator=sampler.generator,
        **workers(loader),
    )
    return made, sampler


def _refused(hook: str, got: str) -> TypeError:
    return TypeError(
        f"{hook} must return one DataLoader of batches of a map-style data set, with shuffle=True "
        f"or any sampler for one process, got {got}. A killed training could not go on with it."
    )
