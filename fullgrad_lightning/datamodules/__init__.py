"""Data modules: synthetic shapes, torchvision's image sets, image folders, and ROAR."""

from fullgrad_lightning.datamodules.base import ImageDataModule
from fullgrad_lightning.datamodules.image_folder import ImageFolderDataModule
from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
from fullgrad_lightning.datamodules.shapes.datamodule import (
    ShapesDataModule,
    ShapesDataset,
    ShapesSample,
)
from fullgrad_lightning.datamodules.torchvision_datasets import (
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
    "ROARDataModule",
    "ShapesDataModule",
    "ShapesDataset",
    "ShapesSample",
]
