"""A user's data module: torchvision's v1 transforms, and not a word on its mean or its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

MEAN, STD = (0.5, 0.4, 0.3), (0.3, 0.2, 0.1)
CLASSES = 8


class Noise(Dataset[Any]):
    """Images of 16×16 random pixels, sorted by label as in folders."""

    def __init__(self, size: int, transform: Any) -> None:
        self.images = np.random.default_rng(0).integers(0, 256, (size, 16, 16, 3), dtype=np.uint8)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.transform(Image.fromarray(self.images[index]))
        return image, index * CLASSES // len(self)


class OwnImages(pl.LightningDataModule):
    """Train, validation and test data."""

    def setup(self, stage: str | None = None) -> None:
        end = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        crop = transforms.RandomCrop(16, padding=2)
        self.train = Noise(64, transforms.Compose([transforms.ToTensor(), crop, end[1]]))
        self.val = Subset(Noise(64, transforms.Compose(end)), range(8))
        self.test = Noise(61, transforms.Compose(end))

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, 16, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.val, 16)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.test, 16)
