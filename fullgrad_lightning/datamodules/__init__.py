"""Images for training: sets that are drawn, torchvision's own, and folders."""

from fullgrad_lightning.datamodules.image_folder import ImageFolderDataModule
from fullgrad_lightning.datamodules.loaders import ImageDataModule
from fullgrad_lightning.datamodules.shapes import ShapesDataModule, ShapesDataset, ShapesSample
from fullgrad_lightning.datamodules.torchvision_sets import (
    CIFAR10DataModule,
    CIFAR100DataModule,
    FashionMNISTDataModule,
    MNISTDataModule,
)

__all__ = [
    "CIFAR10DataModule",
    "CIFAR100DataModule",
    "FashionMNISTDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "MNISTDataModule",
    "ShapesDataModule",
    "ShapesDataset",
    "ShapesSample",
]
