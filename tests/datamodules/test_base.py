"""Loaders: order, workers, pinning; and every data module from YAML."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser
from torch.utils.data import RandomSampler, SequentialSampler

from fullgrad_lightning.datamodules import ImageDataModule, ShapesDataModule
from tests.datamodules.fakes import write_folder, write_mnist


def shapes(**options: Any) -> ShapesDataModule:
    data = ShapesDataModule(train_size=65, val_size=65, test_size=65, **options)
    data.setup()
    return data


def test_only_training_is_shuffled_by_the_global_seed() -> None:
    data = shapes(batch_size=10)
    assert isinstance(data.train_dataloader().sampler, RandomSampler)
    for loader in (data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        assert isinstance(loader.sampler, SequentialSampler)
    orders = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        orders.append(torch.cat([batch.image for batch in data.train_dataloader()]))
    assert orders[0].equal(orders[1]) and not orders[0].equal(orders[2])


def test_workers_live_as_long_as_the_loader() -> None:
    data = shapes(num_workers=2, batch_size=20)
    loader = data.val_dataloader()
    assert loader.num_workers == 2 and loader.persistent_workers
    alone = shapes(batch_size=20).val_dataloader()
    assert not alone.persistent_workers
    for a, b in zip(loader, alone, strict=True):
        assert a.image.equal(b.image) and a.mask.equal(b.mask)


@pytest.mark.parametrize(
    ("device", "pinned"), [("cpu", False), ("cuda", True), ("mps", False), ("xpu", True)]
)
def test_memory_is_pinned_for_the_device_of_the_trainer(device: str, pinned: bool) -> None:
    data = shapes()
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(strategy=strategy)  # type: ignore[assignment]
    assert data.val_dataloader().pin_memory is pinned
    data.pin_memory = not pinned
    assert data.val_dataloader().pin_memory is not pinned


def test_without_a_trainer_memory_is_pinned_if_there_is_a_gpu() -> None:
    assert shapes().val_dataloader().pin_memory is torch.cuda.is_available()


@pytest.mark.parametrize(("batch_size", "kept"), [(64, 64), (13, 65), (32, 64), (66, 65), (65, 65)])
def test_no_training_batch_of_a_single_sample(batch_size: int, kept: int) -> None:
    data = shapes(batch_size=batch_size)
    assert sum(len(batch.label) for batch in data.train_dataloader()) == kept
    assert sum(len(batch.label) for batch in data.val_dataloader()) == 65


CONFIGURATIONS = {
    "ShapesDataModule": "{train_size: 64, class_by: shape, seed: 3, val_size: 64}",
    "MNISTDataModule": "{data_dir: ROOT, val_size: 20, train_size: 10, augment: false}",
    "FashionMNISTDataModule": "{data_dir: ROOT, val_size: 0.25, num_workers: 0}",
    "ImageFolderDataModule": "{data_dir: ROOT, size: 32, val_size: 4, mean: [0.5, 0.5, 0.5]}",
    "CIFAR10DataModule": "{data_dir: ROOT, download: false, pin_memory: true}",
    "CIFAR100DataModule": "{data_dir: ROOT, batch_size: 32, pin_memory: null}",
}


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_from_yaml_and_back(name: str, tmp_path: Path) -> None:
    write_mnist(tmp_path)
    write_mnist(tmp_path, "FashionMNIST")
    write_folder(tmp_path, "train")
    parser = ArgumentParser()
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    arguments = CONFIGURATIONS[name].replace("ROOT", str(tmp_path))
    yaml = f"data:\n  class_path: fullgrad_lightning.datamodules.{name}\n  init_args: {arguments}\n"
    configuration = parser.parse_string(yaml)
    data = parser.instantiate(configuration).data
    assert isinstance(data, ImageDataModule) and type(data).__name__ == name
    assert parser.parse_string(parser.dump(configuration)) == configuration
    if "CIFAR" not in name:
        data.setup("fit")
        assert len(next(iter(data.val_dataloader()))) >= 2
