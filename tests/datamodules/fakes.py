"""Small data sets in the files that the real ones have."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision import datasets
from torchvision.transforms.v2.functional import to_pil_image

TRAIN, TEST = 60, 20


def pictures(n: int, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, *shape), dtype=torch.uint8, generator=generator)


def write_mnist(root: Path, name: str = "MNIST", classes: int = 10) -> None:
    """IDX files; the class of image i is i modulo 10."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, n in (("train", TRAIN), ("t10k", TEST)):
        images = pictures(n, 28, 28, seed=n)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, n, 28, 28) + images.numpy().tobytes()
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, n) + bytes(i % classes for i in range(n))
        )


def write_cifar(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR's pickles, cut down to one training batch; their checksums are not verified."""
    dataset = getattr(datasets, name)
    fine = name == "CIFAR100"
    classes = 100 if fine else 10
    folder = root / dataset.base_folder
    folder.mkdir(parents=True)
    for part, n in (("train", TRAIN), ("test", TEST)):
        entry = {
            "data": pictures(n, 3 * 32 * 32, seed=n).numpy(),
            "fine_labels" if fine else "labels": [i % 10 for i in range(n)],
        }
        (folder / part).write_bytes(pickle.dumps(entry))
    names = [f"class {i}" for i in range(classes)]
    meta = {"fine_label_names" if fine else "label_names": names}
    (folder / "meta").write_bytes(pickle.dumps(meta))
    monkeypatch.setattr(dataset, "train_list", [["train", None]])
    monkeypatch.setattr(dataset, "test_list", [["test", None]])
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "filename": "meta", "md5": None})


def write_folder(
    root: Path, split: str, classes: str = "ab", n: int = 10, size: tuple[int, int] = (32, 32)
) -> None:
    """PNG files, n for each class."""
    for k, name in enumerate(classes):
        (root / split / name).mkdir(parents=True)
        for i, image in enumerate(pictures(n, 3, *size, seed=len(split) * 100 + k)):
            to_pil_image(image).save(root / split / name / f"{i}.png")
