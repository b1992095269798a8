"""Masks move with the pixels, whatever the augmentation does: images that tell their coordinates.

Red is the row + 1, green the column + 1, blue 255: a replaced pixel is black.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, random_split
from torchvision import transforms as v1
from torchvision.transforms import v2

from tests.datamodules.roar.studies import Base, Pictures, in_order, masked, random_store

N, SIDE = 40, 12


def coordinates(n: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    image = torch.stack([rows + 1, columns + 1, torch.full_like(rows, 255)])
    return image.to(torch.uint8).expand(n, -1, -1, -1).contiguous()


AUGMENTATIONS: dict[str, tuple[list[Any], list[Any]]] = {
    # What comes before, and what after the start that all share.
    "PIL images, crop and flip": (
        [],
        [v1.RandomCrop(SIDE, padding=3), v1.RandomHorizontalFlip(), v1.PILToTensor()],
    ),
    "tensors, crop and flip": (
        [v2.ToImage()],
        [v2.RandomCrop(SIDE, padding=3), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()],
    ),
    "a smaller crop": ([v2.ToImage()], [v2.RandomCrop(8), v2.RandomHorizontalFlip()]),
    "transposed": (
        [v2.ToImage()],
        [v2.RandomApply([v2.Lambda(lambda image: image.transpose(1, 2))])],
    ),
}


def where_it_was(image: Tensor) -> Tensor:
    """(H, W, 2): row and column of each pixel of an image whose pixels are all there."""
    return image[:2].permute(1, 2, 0).long() - 1


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_masks_move_with_the_pixels(tmp_path: Path, name: str) -> None:
    start, augmentation = AUGMENTATIONS[name]
    finish = [v2.PILToTensor()] if not start else []
    train = v2.Compose([*start, *augmentation])
    evaluation = v2.Compose([*start, *finish]) if start or finish else None
    base = Base(
        {"train": Pictures(coordinates(N), train), "val": Pictures(coordinates(2), evaluation)}
    )
    store = random_store(tmp_path, base)
    images = {}
    for fraction in (0.0, 0.4):
        torch.manual_seed(0)  # the same augmentation, once with all pixels there
        loader = masked(base, store, fraction, fill="black").train_dataloader()
        images[fraction] = in_order(loader)[0]
    replaced = store.ranks("train", range(N)) < round(0.4 * SIDE * SIDE)
    moved = 0
    for i in range(N):
        there = images[0.0][i, 2] == 255  # not what a crop brought in from outside
        row, column = where_it_was(images[0.0][i]).unbind(-1)
        expected = replaced[i][row.clamp(min=0), column.clamp(min=0)] & there
        assert (images[0.4][i, 2] == 255).equal(there & ~expected)
        assert images[0.4][i][:, ~expected].equal(images[0.0][i][:, ~expected])
        moved += int(not row.equal(coordinates(1)[0, 0].long() - 1))
    assert moved > N / 4, "the augmentation did something"


def subsets(dataset: Pictures, evaluation: Callable[..., Any]) -> dict[str, Any]:
    halves = random_split(dataset, [N - 10, 10], torch.Generator().manual_seed(1))
    return {"train": halves[0], "val": halves[1]}


def nested(dataset: Pictures, evaluation: Callable[..., Any]) -> dict[str, Any]:
    parts = [Subset(dataset, range(20, N)), Subset(Subset(dataset, range(20)), range(5, 15))]
    return {"train": ConcatDataset(parts), "val": Pictures(dataset.images[:10], evaluation)}


@pytest.mark.parametrize("split", [subsets, nested])
def test_ranks_are_those_of_the_position_in_the_split(tmp_path: Path, split: Any) -> None:
    """And the user's data sets, which splits share, stay as they are."""
    images = coordinates(N)
    images[:, 2] = torch.arange(N)[:, None, None] + 100
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=False)])
    dataset = Pictures(images, transform)
    base = Base(split(dataset, transform))
    before = {name: dict(vars(part)) for name, part in base.datasets.items()}
    store = random_store(tmp_path, base)
    data = masked(base, store, 0.25, fill="black")
    for name in ("train", "val"):
        own, loader = base.datasets[name], getattr(data, f"{name}_dataloader")()
        for position in range(len(own)):
            image, _ = loader.dataset[position]
            kept = store.ranks(name, [position])[0] >= round(0.25 * SIDE * SIDE)
            assert image[2].equal(own[position][0][2] * kept)
        assert vars(own) == before[name]
    assert dataset.transform is transform
