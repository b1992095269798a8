"""MNIST, Fashion-MNIST and CIFAR: read, split, augmented, and complained about."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import Subset
from torchvision import datasets
from torchvision.transforms import v2

from fullgrad_lightning.datamodules import (
    CIFAR10DataModule,
    CIFAR100DataModule,
    FashionMNISTDataModule,
    MNISTDataModule,
    ROARDataModule,
)
from fullgrad_lightning.datamodules.torchvision_datasets import TorchvisionDataModule
from fullgrad_lightning.models import ImageClassifier
from tests.datamodules.fakes import TEST, TRAIN, pictures, write_cifar, write_mnist

MODULES = {
    "MNIST": MNISTDataModule,
    "FashionMNIST": FashionMNISTDataModule,
    "CIFAR10": CIFAR10DataModule,
    "CIFAR100": CIFAR100DataModule,
}
Make = Callable[..., TorchvisionDataModule]
Write = Callable[[Path], None]


class KMNISTDataModule(TorchvisionDataModule):
    """A data set of a user's own: a class in one file, with attributes alone."""

    dataset_class = datasets.KMNIST
    folder = "KMNIST/raw"
    num_classes, in_channels = 10, 1
    class_names = tuple(datasets.KMNIST.classes)
    mean, std = (0.1918,), (0.3483,)
    augmentation: ClassVar = [v2.RandomCrop(28, padding=2)]


@pytest.fixture(params=list(MODULES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def write(name: str, monkeypatch: pytest.MonkeyPatch) -> Write:
    def write(root: Path) -> None:
        if "MNIST" in name:
            write_mnist(root, name)
        else:
            write_cifar(root, name, monkeypatch)

    return write


@pytest.fixture
def make(name: str, write: Write, tmp_path: Path) -> Make:
    write(tmp_path)
    return lambda **options: MODULES[name](tmp_path, **{"val_size": 20, **options})


def images_of(dataset: Any) -> Tensor:
    return torch.stack([sample[0] for sample in dataset])


def subset(dataset: Any) -> Subset[Any]:
    assert isinstance(dataset, Subset)
    return dataset


def test_what_is_known_before_the_files_are_seen(name: str) -> None:
    module = MODULES[name]("nowhere")
    channels, classes = (1 if "MNIST" in name else 3), (100 if name == "CIFAR100" else 10)
    assert (module.in_channels, module.num_classes) == (channels, classes)
    assert len(module.mean) == len(module.std) == channels


def test_batches(make: Make, name: str) -> None:
    data = make(batch_size=16)
    data.prepare_data()
    data.setup()
    assert len(data.class_names) == data.num_classes
    side = 28 if "MNIST" in name else 32
    for loader, n in (
        (data.train_dataloader(), TRAIN - 20), (data.val_dataloader(), 20),
        (data.test_dataloader(), TEST), (data.predict_dataloader(), TEST),
    ):  # fmt: skip
        batches = list(loader)
        assert sum(len(labels) for _, labels in batches) == n
        images, labels = batches[0]
        assert type(images) is Tensor and images.dtype == torch.float32
        assert images.shape == (16, data.in_channels, side, side)
        assert labels.dtype == torch.int64


def test_pixels_and_labels_are_those_of_the_files(make: Make, name: str) -> None:
    data = make()
    data.setup()
    raw = pictures(TRAIN, 28, 28, seed=TRAIN) if "MNIST" in name else pictures(
        TRAIN, 3 * 32 * 32, seed=TRAIN
    )  # fmt: skip
    mean, std = (torch.tensor(part)[:, None, None] for part in (data.mean, data.std))
    val = subset(data.val_set)
    for (image, label), index in zip(val, val.indices, strict=False):
        expected = raw[index].reshape(data.in_channels, *image.shape[1:]).double() / 255
        assert (image * std + mean).double().allclose(expected, atol=1e-5)
        assert label == index % 10


def test_only_training_images_are_augmented(make: Make) -> None:
    data = make()
    data.setup()
    for dataset, changes in ((data.train_set, True), (data.val_set, False), (data.test_set, False)):
        assert images_of(dataset).equal(images_of(dataset)) is not changes
    plain = make(augment=False)
    plain.setup()
    assert images_of(plain.train_set).equal(images_of(plain.train_set))
    assert images_of(plain.val_set).equal(images_of(data.val_set))


def test_training_and_validation_share_memory_but_no_image(make: Make) -> None:
    data = make()
    data.setup("fit")
    train, val = subset(data.train_set), subset(data.val_set)
    assert sorted([*train.indices, *val.indices]) == list(range(TRAIN))
    assert train.dataset.data is val.dataset.data  # type: ignore[attr-defined]
    assert sorted(i % 10 for i in val.indices) == sorted([*range(10)] * 2)
    again, other = make(), make(seed=1)
    again.setup("fit")
    other.setup("fit")
    assert subset(again.val_set).indices == val.indices != subset(other.val_set).indices


def test_a_subset_for_short_trainings(make: Make) -> None:
    data, whole = make(train_size=10, batch_size=5), make()
    data.setup("fit")
    whole.setup("fit")
    train = subset(data.train_set)
    assert sorted(i % 10 for i in train.indices) == list(range(10))
    assert len(data.train_dataloader()) == 2
    assert subset(data.val_set).indices == subset(whole.val_set).indices


def test_a_subset_of_the_test_images(make: Make) -> None:
    data, whole, other = make(test_size=10), make(), make(test_size=10, seed=1)
    for module in (data, whole, other):
        module.setup("test")
    test = subset(data.test_set)
    assert sorted(i % 10 for i in test.indices) == list(range(10)), "one of each class"
    assert test.indices == sorted(test.indices) != subset(other.test_set).indices
    assert images_of(test).equal(images_of(whole.test_set)[test.indices])
    assert len(whole.test_set) == TEST  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"test_size={TEST + 1} of {TEST} test images"):
        make(test_size=TEST + 1).setup("test")


def test_transforms_begin_alike_and_end_with_the_normalisation(make: Make) -> None:
    data = make()
    data.setup()
    train = subset(data.train_set).dataset.transform  # type: ignore[attr-defined]
    val = subset(data.val_set).dataset.transform  # type: ignore[attr-defined]
    kinds = [[type(t) for t in transform.transforms] for transform in (train, val)]
    assert isinstance(train, v2.Compose)
    assert kinds[1] == [v2.ToImage, v2.ToDtype, v2.Normalize]
    assert kinds[0][:2] == kinds[1][:2] and kinds[0][-1] is v2.Normalize and len(kinds[0]) > 3


def test_missing_files(name: str, tmp_path: Path) -> None:
    data = MODULES[name](tmp_path / "no such")
    data.prepare_data()  # nothing to do: it does not download unasked
    assert not any(tmp_path.iterdir())
    for stage in ("fit", "test", None):
        with pytest.raises(FileNotFoundError) as caught:
            data.setup(stage)
        message = str(caught.value)
        assert f"Cannot read {name} from data_dir={tmp_path / 'no such'}" in message
        assert str(tmp_path / "no such" / data.folder) in message
        assert "download=True" in message


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_broken_files(make: Make, tmp_path: Path, damage: str) -> None:
    (path,) = [p for p in tmp_path.rglob("*") if p.name in ("train", "train-images-idx3-ubyte")]
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": content[:-100], "text": b"<html>404</html>"}[damage])
    data = make()
    with pytest.raises(FileNotFoundError, match="missing, broken") as caught:
        data.setup("fit")
    assert str(path.parent) in str(caught.value) and "Set download=True" in str(caught.value)


def test_labels_that_are_not_those_of_the_images(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    raw = tmp_path / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(FileNotFoundError, match=f"{TRAIN} images of MNIST, but {TEST} labels"):
        MNISTDataModule(tmp_path).setup("fit")


def test_a_download_is_made_once_and_before_setup(
    name: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, calls = MODULES[name], []

    def download(dataset: Any) -> None:
        calls.append(dataset.root)
        if not any(tmp_path.iterdir()):
            write(tmp_path)

    monkeypatch.setattr(module.dataset_class, "download", download)
    data = module(tmp_path, download=True, val_size=20)
    data.prepare_data()
    assert len(calls) == 2
    data.setup()
    assert len(calls) == 2 and data.train_set is not None


def test_a_download_that_fails(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(dataset: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(MODULES[name].dataset_class, "download", download)
    with pytest.raises(FileNotFoundError, match="no network") as caught:
        MODULES[name](tmp_path, download=True).prepare_data()
    assert str(tmp_path) in str(caught.value) and "another data_dir" in str(caught.value)


def test_too_many_validation_images(make: Make) -> None:
    with pytest.raises(ValueError, match="val_size=5000 and train_size=None of 60 training"):
        make(val_size=5000).setup("fit")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"val_size": 0}, "val_size"), ({"train_size": -1}, "train_size"), ({"seed": 0.5}, "seed"),
     ({"test_size": 0}, "test_size"), ({"test_size": 2.0}, "test_size"),
     ({"batch_size": 0}, "batch_size"), ({"num_workers": -1}, "num_workers")],
)  # fmt: skip
def test_bad_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message} must be"):
        MODULES[name]("nowhere", **options)


@pytest.mark.skipif("FULLGRAD_DATA" not in os.environ, reason="FULLGRAD_DATA not set")
def test_fashion_mnist_itself() -> None:
    data = FashionMNISTDataModule(Path(os.environ["FULLGRAD_DATA"]) / "fashion-mnist")
    data.setup()
    assert len(subset(data.train_set)) == 55_000 and len(subset(data.val_set)) == 5_000
    assert len(data.test_dataloader().dataset) == 10_000  # type: ignore[arg-type]
    whole: Any = subset(data.train_set).dataset
    pixels = whole.data.double() / 255
    assert float(pixels.mean()) == pytest.approx(data.mean[0], abs=1e-4)
    assert float(pixels.std()) == pytest.approx(data.std[0], abs=1e-4)
    labels = whole.targets[torch.tensor(subset(data.val_set).indices)]
    assert labels.bincount().tolist() == [500] * 10
    assert data.class_names[9] == "Ankle boot"


def test_a_further_data_set_is_one_class(tmp_path: Path) -> None:
    write_mnist(tmp_path, "KMNIST")
    data = KMNISTDataModule(tmp_path, val_size=20, batch_size=8)
    trainer = pl.Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(ImageClassifier("vgg9", 10, 1, model_options={"width": 2}), data)
    images = ROARDataModule(KMNISTDataModule(tmp_path, val_size=20))
    images.setup("predict")
    assert images.sizes == {"train": TRAIN - 20, "val": 20, "test": TEST}
    assert images.image_shape == (1, 28, 28) and images.class_names == data.class_names
