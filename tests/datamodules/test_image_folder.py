"""Folders of images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Subset
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import pil_to_tensor

from fullgrad_lightning.datamodules import ImageFolderDataModule
from tests.datamodules.fakes import write_folder


def kinds(dataset: Any) -> list[type]:
    whole = dataset.dataset if isinstance(dataset, Subset) else dataset
    return [type(t) for t in whole.transform.transforms]


def images_of(dataset: Any) -> Tensor:
    return torch.stack([sample[0] for sample in dataset])


def test_train_alone(tmp_path: Path) -> None:
    write_folder(tmp_path, "train")
    data = ImageFolderDataModule(tmp_path, 32, val_size=0.2, batch_size=8)
    assert data.class_names == ("a", "b") and data.num_classes == 2, "before setup too"
    data.prepare_data()
    data.setup()
    images, labels = next(iter(data.val_dataloader()))
    assert type(images) is Tensor and images.shape == (4, 3, 32, 32)
    assert images.dtype == torch.float32 and labels.dtype == torch.int64
    assert sorted(labels.tolist()) == [0, 0, 1, 1]
    assert isinstance(data.train_set, Subset) and isinstance(data.val_set, Subset)
    assert not set(data.train_set.indices) & set(data.val_set.indices)
    assert len(data.train_set) == 16
    with pytest.raises(FileNotFoundError, match=r"No images in .*test"):
        data.setup("test")


def test_all_three(tmp_path: Path) -> None:
    for split, n in (("train", 10), ("val", 3), ("test", 4)):
        write_folder(tmp_path, split, n=n)
    data = ImageFolderDataModule(tmp_path, 32, train_size=12)
    data.prepare_data()
    data.setup()
    for dataset, n in ((data.train_set, 12), (data.val_set, 6), (data.test_set, 8)):
        assert len(dataset) == n  # type: ignore[arg-type]
    assert kinds(data.val_set) == kinds(data.test_set)
    for dataset in (data.val_set, data.test_set):
        assert images_of(dataset).equal(images_of(dataset))
    assert not images_of(data.train_set).equal(images_of(data.train_set))


def test_pixels_are_those_of_the_files(tmp_path: Path) -> None:
    write_folder(tmp_path, "train", n=4)
    write_folder(tmp_path, "val", n=2)
    data = ImageFolderDataModule(tmp_path, 32, mean=[0.4, 0.5, 0.6], std=[0.1, 0.2, 0.3])
    data.setup("fit")
    image, label = data.val_set[3]  # type: ignore[index]
    file = pil_to_tensor(Image.open(tmp_path / "val" / "b" / "1.png")).double() / 255
    mean, std = (torch.tensor(part)[:, None, None] for part in (data.mean, data.std))
    assert (image * std + mean).double().allclose(file, atol=1e-5) and label == 1


@pytest.mark.parametrize(("size", "crop"), [(32, v2.RandomCrop), (96, v2.RandomResizedCrop)])
def test_augmentation_by_size(tmp_path: Path, size: int, crop: type) -> None:
    write_folder(tmp_path, "train", size=(40, 70))
    data = ImageFolderDataModule(tmp_path, size)
    data.setup("fit")
    same = [v2.ToImage, v2.Resize, v2.CenterCrop, v2.ToDtype]
    assert kinds(data.train_set) == [*same, crop, v2.RandomHorizontalFlip, v2.Normalize]
    assert kinds(data.val_set) == [*same, v2.Normalize]
    assert images_of(data.train_set).shape[1:] == (3, size, size)
    assert images_of(data.val_set).shape[1:] == (3, size, size)
    plain = ImageFolderDataModule(tmp_path, size, augment=False)
    plain.setup("fit")
    assert kinds(plain.train_set) == kinds(plain.val_set)


@pytest.mark.parametrize("state", ["no folder", "no train", "no classes"])
def test_missing_folders(tmp_path: Path, state: str) -> None:
    if state == "no train":
        write_folder(tmp_path, "somewhere")
    elif state == "no classes":
        (tmp_path / "train").mkdir()
    root = tmp_path / "no such" if state == "no folder" else tmp_path
    data = ImageFolderDataModule(root)
    for early in (data.prepare_data, data.setup, lambda: data.num_classes):
        with pytest.raises(FileNotFoundError) as caught:
            early()
        assert f"No images in {root / 'train'}" in str(caught.value)
        assert "data_dir/train/<class>/*.png" in str(caught.value)


def test_classes_without_splits(tmp_path: Path) -> None:
    write_folder(tmp_path, "photos")
    data = ImageFolderDataModule(tmp_path / "photos", 32, val_size=0.2, batch_size=8)
    data.prepare_data()
    data.setup("fit")
    assert data.class_names == ("a", "b")
    assert isinstance(data.train_set, Subset) and isinstance(data.val_set, Subset)
    assert (len(data.train_set), len(data.val_set)) == (16, 4)
    data.setup("predict")
    labels = torch.cat([labels for _, labels in data.predict_dataloader()])
    assert labels.tolist() == 10 * [0] + 10 * [1], "all, in order"
    assert kinds(data.predict_set) == kinds(data.val_set), "without augmentation"
    with pytest.raises(FileNotFoundError, match=r"No images in .*test"):
        data.setup("test")


@pytest.mark.parametrize(("split", "stage"), [("val", "validate"), ("test", "test")])
def test_one_split_alone_can_be_evaluated(tmp_path: Path, split: str, stage: str) -> None:
    write_folder(tmp_path, split, n=3)
    data = ImageFolderDataModule(tmp_path, 32)
    data.prepare_data()
    data.setup(stage)
    assert len(getattr(data, f"{split}_set")) == 6 and data.num_classes == 2
    with pytest.raises(FileNotFoundError, match=r"No images in .*train"):
        data.setup("fit")


def test_a_class_without_images(tmp_path: Path) -> None:
    write_folder(tmp_path, "train")
    (tmp_path / "train" / "c").mkdir()
    with pytest.raises(FileNotFoundError, match=r"Cannot list the images of .*train.* c"):
        ImageFolderDataModule(tmp_path).setup("fit")


def test_other_classes_than_those_of_train(tmp_path: Path) -> None:
    write_folder(tmp_path, "train", "abc")
    write_folder(tmp_path, "test", "acd")
    data = ImageFolderDataModule(tmp_path)
    for early in (data.prepare_data, lambda: data.setup("test")):
        with pytest.raises(FileNotFoundError, match=r"missing are \['b'\], unknown are \['d'\]"):
            early()


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, "train")
    path = tmp_path / "train" / "a" / "3.png"
    path.write_bytes(path.read_bytes()[:200])
    data = ImageFolderDataModule(tmp_path, 32, val_size=1, augment=False)
    data.setup("fit")
    with pytest.raises(OSError, match=f"Cannot read the image {path}"):
        list(data.train_dataloader()) + list(data.val_dataloader())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be an integer ≥ 1"),
        ({"val_size": 1.0}, "val_size must be"),
        ({"mean": [0.5]}, "mean and std must hold 3 numbers each"),
        ({"std": [1.0, 1.0, 0.0]}, "those of std > 0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageFolderDataModule("nowhere", **options)


@pytest.mark.skipif("FULLGRAD_DATA" not in os.environ, reason="FULLGRAD_DATA not set")
def test_cifar100_as_a_folder() -> None:
    data = ImageFolderDataModule(
        Path(os.environ["FULLGRAD_DATA"]) / "cifar100-subset", 32, val_size=2000
    )
    data.prepare_data()
    data.setup()
    assert data.num_classes == 100 and data.class_names[0] == "apple"
    assert len(data.train_set) == 18_000 and len(data.test_set) == 5_000  # type: ignore[arg-type]
    assert isinstance(data.val_set, Subset)
    whole: Any = data.val_set.dataset
    labels = torch.tensor(whole.targets)[data.val_set.indices]
    assert labels.bincount().tolist() == [20] * 100
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (64, 3, 32, 32)
