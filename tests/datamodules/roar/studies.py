"""Small data modules to mask, and stores of random ranks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as v1
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import to_pil_image

from fullgrad_lightning.datamodules import ROARDataModule
from fullgrad_lightning.stores.rank_store import RankStore
from tests.datamodules.fakes import pictures

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
SIZES = {"train": 24, "val": 7, "test": 9}

# How people write CIFAR's transforms: the augmentation comes before anything that is shared.
V1_TRAIN = v1.Compose(
    [v1.RandomCrop(8, padding=2), v1.RandomHorizontalFlip(), v1.ToTensor(), v1.Normalize(MEAN, STD)]
)
V1_EVAL = v1.Compose([v1.ToTensor(), v1.Normalize(MEAN, STD)])
# And how this package does.
V2_START = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
V2_TRAIN = v2.Compose(
    [*V2_START, v2.RandomCrop(8, padding=2), v2.RandomHorizontalFlip(), v2.Normalize(MEAN, STD)]
)
V2_EVAL = v2.Compose([*V2_START, v2.Normalize(MEAN, STD)])


class Pictures(Dataset[tuple[Any, int]]):
    """PIL images, or tensors, of (N, 3, H, W) uint8; the label is the index."""

    def __init__(
        self, images: Tensor, transform: Callable[..., Any] | None = None, *, pil: bool = True
    ) -> None:
        self.images, self.transform, self.pil = images, transform, pil

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image: Any = self.images[index]
        if self.pil:
            image = to_pil_image(image)
        if self.transform is not None:
            image = self.transform(image)
        return image, index


class Base(pl.LightningDataModule):
    """Loaders of given data sets; the training loader shuffles."""

    def __init__(self, datasets: dict[str, Any], **options: Any) -> None:
        super().__init__()
        self.datasets, self.options = datasets, {"batch_size": 5, **options}
        self.stages: list[str] = []

    def setup(self, stage: str) -> None:
        self.stages.append(stage)

    def train_dataloader(self) -> Any:
        return DataLoader(self.datasets["train"], shuffle=True, **self.options)

    def val_dataloader(self) -> Any:
        return DataLoader(self.datasets["val"], **self.options)

    def test_dataloader(self) -> Any:
        return DataLoader(self.datasets["test"], **self.options) if "test" in self.datasets else []


def raw(split: str, size: int = 8) -> Tensor:
    """(N, 3, size, size) uint8, each split its own."""
    return pictures(SIZES[split], 3, size, size, seed=len(split))


def base_of(
    train: Callable[..., Any] | None, evaluation: Callable[..., Any] | None, **options: Any
) -> Base:
    datasets = {
        split: Pictures(raw(split), train if split == "train" else evaluation) for split in SIZES
    }
    return Base(datasets, **options)


def random_store(folder: Path, base: pl.LightningDataModule, seed: int = 0) -> RankStore:
    """A complete store of random ranks for the images of a data module."""
    data = ROARDataModule(base)
    data.setup("predict")
    height, width = data.image_shape[1:]
    store = RankStore.create(
        folder, sizes=data.sizes, shape=(height, width), made_from={"data": data.fingerprint}
    )
    own = torch.Generator().manual_seed(seed)
    for split, n in data.sizes.items():
        ranks = torch.rand(n, height * width, generator=own).argsort(1)
        store.write(split, range(n), ranks.reshape(n, height, width))
    store.finish()
    return store


def masked(base: pl.LightningDataModule, store: RankStore, *arguments: Any, **options: Any) -> Any:
    """A data module that masks, set up."""
    data = ROARDataModule(base, store.folder, *arguments, **options)
    data.setup("fit")
    return data


def in_order(loader: Any) -> tuple[Tensor, Tensor]:
    """All images and labels of a loader, by label."""
    batches = list(loader)
    images, labels = (torch.cat([batch[i] for batch in batches]) for i in (0, 1))
    order = labels.argsort()
    return images[order], labels[order]
