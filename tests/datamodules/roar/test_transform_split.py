"""What is taken from the transforms as prepare, and which data sets are refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import ConcatDataset, Dataset, TensorDataset
from torchvision import transforms as v1
from torchvision.datasets import VisionDataset
from torchvision.transforms import v2

from fullgrad_lightning.datamodules import ImageFolderDataModule, ROARDataModule
from fullgrad_lightning.datamodules.roar.transform_split import split_transforms
from fullgrad_lightning.datamodules.transforms import replace_transform
from tests.datamodules.fakes import pictures, write_folder
from tests.datamodules.roar.studies import (
    MEAN,
    STD,
    V1_EVAL,
    V1_TRAIN,
    V2_EVAL,
    V2_TRAIN,
    Base,
    Pictures,
    base_of,
    raw,
)

FLIP, NORMALIZE = v2.RandomHorizontalFlip(), v2.Normalize(MEAN, STD)
TO_FLOAT = v2.ToDtype(torch.float32, scale=True)


def names(transform: Any) -> list[str]:
    if isinstance(transform, nn.Identity):
        return []
    return [type(step).__name__ for step in transform.transforms]


def split_up(*transforms: Any) -> tuple[list[str], list[list[str]]]:
    images = pictures(4, 3, 8, 8)
    found = split_transforms({str(i): Pictures(images, t) for i, t in enumerate(transforms)})
    return names(found.prepare), [names(rest) for rest in found.remainders.values()]


def test_the_common_deterministic_start() -> None:
    assert split_up(V1_TRAIN, V1_EVAL) == (
        [], [["RandomCrop", "RandomHorizontalFlip", "ToTensor", "Normalize"],
             ["ToTensor", "Normalize"]],
    )  # fmt: skip
    assert split_up(V2_TRAIN, V2_EVAL, V2_EVAL) == (
        ["ToImage", "ToDtype"],
        [["RandomCrop", "RandomHorizontalFlip", "Normalize"], ["Normalize"], ["Normalize"]],
    )
    nested = v2.Compose([v1.Compose([v2.ToImage()]), nn.Sequential(v2.Resize(6), NORMALIZE)])
    flat = v2.Compose([v2.ToImage(), v2.Resize(6), FLIP, v2.CenterCrop(6)])
    assert split_up(nested, flat) == (
        ["ToImage", "Resize"], [["Normalize"], ["RandomHorizontalFlip", "CenterCrop"]],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (v2.Resize(6), v2.Resize(7)),
        (v2.Resize(6), v2.Resize(6, interpolation=v2.InterpolationMode.NEAREST)),
        (v2.Resize(6), v1.Resize(6)),
        (v2.Pad(1), v2.Pad(1, fill=3)),
        (NORMALIZE, NORMALIZE),
        (FLIP, FLIP),
        (torch.square, torch.square),
    ],
)
def test_what_differs_is_random_or_unknown_is_not_shared(first: Any, second: Any) -> None:
    start = v2.ToImage()
    shared, _ = split_up(v2.Compose([start, first]), v2.Compose([v2.ToImage(), second]))
    assert shared == ["ToImage"]


class WithTarget(VisionDataset):
    """As torchvision's own: image and label go through ``transforms``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        pair = Pictures(pictures(4, 3, 8, 8))[index]
        return self.transforms(*pair) if self.transforms is not None else pair


def test_transforms_of_the_target_stay() -> None:
    dataset = WithTarget(transform=V2_EVAL, target_transform=lambda label: label + 100)
    image, label = replace_transform(dataset, v2.PILToTensor())[2]
    assert image.dtype == torch.uint8 and label == 102
    assert dataset[2][0].dtype == torch.float32
    joint = WithTarget(transforms=v2.Compose([v2.ToImage()]))
    with pytest.raises(ValueError, match="WithTarget, of the train split, has `transforms`"):
        split_transforms({"train": joint})


def refused(base: Base, message: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        ROARDataModule(base, **options).setup("predict")
    assert "prepare=" in str(caught.value), "the remedy"


def test_a_transform_that_only_evaluation_begins_with() -> None:
    """ImageNet's usual transforms, on images of one size."""
    train = v2.Compose([v2.RandomResizedCrop(6), v2.ToImage(), TO_FLOAT])
    for evaluation in (
        v2.Compose([v2.Resize(7), v2.CenterCrop(6), v2.ToImage(), TO_FLOAT]),
        v2.Compose([v2.Resize(12), v2.CenterCrop(8), v2.ToImage(), TO_FLOAT]),  # size as before
        v2.Compose([v2.ToImage(), TO_FLOAT, v2.Lambda(lambda image: image.flip(2))]),
    ):
        refused(base_of(train, evaluation), "8×8 pixels, .* has them in other places")


def test_standardising_each_image_moves_nothing() -> None:
    standardise = v2.Lambda(lambda image: (image - image.mean()) / image.std())
    evaluation = v2.Compose([v2.ToImage(), TO_FLOAT, standardise])
    data = ROARDataModule(base_of(v2.Compose([FLIP, evaluation]), evaluation))
    data.setup("predict")
    assert data.image_shape == (3, 8, 8)


def test_images_of_varying_size(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number, size in enumerate([(32, 32), (32, 48)]):
            write_folder(tmp_path, split, "ab"[number], size=size)
    both = v2.Compose([v2.ToImage(), v2.Resize(32)])
    base = ImageFolderDataModule(tmp_path, 32, val_size=4)
    base.setup()
    for dataset in (base.train_set.dataset, base.val_set.dataset, base.test_set):  # type: ignore
        dataset.transform = both  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"one shape, which is \(3, 32, 32\) .*\(3, 32, 48\)"):
        ROARDataModule(base).setup("predict")


def test_one_odd_image_is_named_when_it_comes() -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    images: Any = list(pictures(999, 3, 8, 8))
    base.datasets["train"].images = images
    data = ROARDataModule(base)
    data.setup("predict")
    images[5] = images[5][:, :, :7]  # none of those that were looked at
    with pytest.raises(ValueError, match=r"sample 5 of the train split has \(3, 8, 7\)"):
        list(data.predict_dataloader()[0])


class Inside(Dataset[Any]):
    """Augments where nobody sees it."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def __len__(self) -> int:
        return 30

    def __getitem__(self, index: int) -> Any:
        image = pictures(30, 3, 8, 8)[index]
        return (image.flip(2) if self.draw() < 0.5 else image).float(), index


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: torch.rand(())])
def test_augmentation_inside_the_data_set(draw: Any) -> None:
    base = base_of(None, None)
    base.datasets["train"] = Inside(draw)
    refused(base, "of the train split is not the same when it is fetched again")


def test_random_evaluation() -> None:
    evaluation = v2.Compose([v2.ToImage(), FLIP])
    refused(base_of(evaluation, evaluation), "transform of validation and test images is random")


class Twice(Pictures):
    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        return self.transform(image) if self.transform else image, label


def test_a_data_set_that_does_more_with_its_transform() -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    base.datasets["val"] = Twice(raw("val"), v2.Compose([v2.ToImage(), TO_FLOAT, NORMALIZE]))
    refused(base, "transform of the val split could not be split")


def test_joined_data_sets_with_different_transforms() -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    one = base.datasets["train"]
    base.datasets["train"] = ConcatDataset([one, Pictures(raw("val"), V1_TRAIN)])
    refused(base, "joined in the train split have different transforms")
    base.datasets["train"] = ConcatDataset([one, Pictures(raw("val"), V2_TRAIN)])
    ROARDataModule(base).setup("predict")


def test_data_sets_without_a_transform() -> None:
    base = base_of(None, None)
    for split in base.datasets:
        base.datasets[split] = TensorDataset(raw(split).float(), torch.arange(len(raw(split))))
    data = ROARDataModule(base)
    data.setup("predict")
    (indices, (images, labels)), *_ = data.predict_dataloader()[2]
    assert images.equal(raw("test").float()[:5]) and labels.equal(indices)
    steps = dict.fromkeys(("prepare", "train_transform", "eval_transform"), nn.Identity())
    refused(base, "the TensorDataset of the train split has none", **steps)


def test_steps_of_ones_own_replace_the_transforms() -> None:
    base = base_of(v2.RandomResizedCrop(6), v2.Compose([v2.Resize(7), v2.CenterCrop(6)]))
    data = ROARDataModule(
        base,
        prepare=v2.Compose([v2.ToImage(), v2.CenterCrop(6)]),
        train_transform=v2.Compose([FLIP, TO_FLOAT]),
        eval_transform=TO_FLOAT,
    )
    data.setup("predict")
    assert data.image_shape == (3, 6, 6)
    for split, loader in zip(data.splits, data.predict_dataloader(), strict=True):
        images = torch.cat([batch[0] for _, batch in loader])
        assert images.allclose(raw(split)[:, :, 1:7, 1:7] / 255)
    plain = ROARDataModule(base_of(V2_TRAIN, V2_EVAL))
    plain.setup("predict")
    assert data.fingerprint != plain.fingerprint


def test_looking_at_samples_draws_no_random_numbers() -> None:
    base = base_of(V1_TRAIN, V1_EVAL)
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    before = torch.rand(3), np.random.rand(3).tolist(), random.random()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    ROARDataModule(base).setup("predict")
    assert torch.rand(3).equal(before[0])
    assert (np.random.rand(3).tolist(), random.random()) == before[1:]
