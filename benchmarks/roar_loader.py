"""The cost of masking in a loader: epochs of images with and without masks, in turn.

    python -m benchmarks.roar_loader [--images 10000] [--rounds 7]

Images are in memory, as torchvision's MNIST and CIFAR have them, and go through the transforms of
this package (``v2``) or through those that most CIFAR code has (``v1``, where the PIL image itself
is masked). A third of the pixels are replaced. Each round runs an epoch without masks and one with
them (A B A B); the ratio is that of the throughputs, the median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as v1
from torchvision.transforms import v2

import fullgrad_lightning as fgl
from fullgrad_lightning.datamodules import ROARDataModule
from fullgrad_lightning.datamodules.transforms import image_transform
from fullgrad_lightning.stores.rank_store import RankStore

BATCH = 128
GREY, COLOUR = ((0.286,), (0.353,)), ((0.507, 0.487, 0.441), (0.267, 0.256, 0.276))


class Pictures(Dataset[tuple[Any, int]]):
    """(N, H, W) or (N, H, W, 3) uint8 as PIL images, with a label."""

    def __init__(self, images: Tensor, transform: Callable[..., Any]) -> None:
        self.images, self.transform = images.numpy(), transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[index])), index % 10


class Base(pl.LightningDataModule):
    def __init__(self, train: Pictures, test: Pictures, workers: int) -> None:
        super().__init__()
        self.train, self.test = train, test
        self.loader = partial(
            DataLoader, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0
        )

    def train_dataloader(self) -> DataLoader[Any]:
        return self.loader(self.train, shuffle=True)

    def test_dataloader(self) -> DataLoader[Any]:
        return self.loader(self.test)


def cases(images: int) -> dict[str, tuple[Tensor, Any, Any]]:
    """Raw images, and the transforms of training and of evaluation."""
    grey = torch.randint(256, (images, 28, 28), dtype=torch.uint8)
    colour = torch.randint(256, (images, 32, 32, 3), dtype=torch.uint8)
    flip = fgl.FashionMNISTDataModule.augmentation
    crop_and_flip = fgl.CIFAR10DataModule.augmentation
    end = [v1.ToTensor(), v1.Normalize(*COLOUR)]
    return {
        "28×28, v2, plain": (grey, image_transform(*GREY), image_transform(*GREY)),
        "28×28, v2, mirrored": (
            grey, image_transform(*GREY, augmentation=flip), image_transform(*GREY),
        ),
        "32×32×3, v2, plain": (
            colour, image_transform(*COLOUR), image_transform(*COLOUR),
        ),
        "32×32×3, v2, moved and mirrored": (
            colour, image_transform(*COLOUR, augmentation=crop_and_flip), image_transform(*COLOUR),
        ),
        "32×32×3, v1, moved and mirrored": (
            colour,
            v1.Compose([v1.RandomCrop(32, padding=4), v1.RandomHorizontalFlip(), *end]),
            v2.Compose(end),
        ),
    }  # fmt: skip


def masked(base: Base, folder: Path, fill: Any) -> ROARDataModule:
    """The same images with a third of their pixels replaced, by random ranks."""
    data = ROARDataModule(base)
    data.setup("predict")
    height, width = data.image_shape[1:]
    store = RankStore.create(folder, sizes=data.sizes, shape=(height, width), made_from={})
    for split, n in data.sizes.items():
        missing = store.missing(split)
        if len(missing):
            ranks = torch.rand(n, height * width).argsort(1)
            store.write(split, missing, ranks.reshape(n, height, width))
    store.finish()
    data = ROARDataModule(base, folder, 1 / 3, fill=fill)
    data.setup("fit")
    return data


def epoch(loader: DataLoader[Any]) -> float:
    """Seconds."""
    start = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| images | workers | fill | without masks | with masks | ratio |")
    print("|---|---|---|---|---|---|")
    for name, (images, train, test) in cases(options.images).items():
        with tempfile.TemporaryDirectory() as folder:
            for workers in (0, 2):
                for fill in ("mean", "black"):
                    base = Base(Pictures(images, train), Pictures(images[:500], test), workers)
                    plain = base.train_dataloader()
                    other = masked(base, Path(folder, "store"), fill).train_dataloader()
                    epoch(plain), epoch(other)  # workers start, blocks of the store are checked
                    pairs = [(epoch(plain), epoch(other)) for _ in range(options.rounds)]
                    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
                    ratio = statistics.median(one / two for one, two in pairs)
                    print(
                        f"| {name} | {workers} | {fill} | {options.images / a:,.0f}/s "
                        f"| {options.images / b:,.0f}/s | {ratio:.3f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
