"""The synthetic data set: textured shapes on a background."""

from fullgrad_lightning.datamodules.shapes.datamodule import (
    ShapesDataModule,
    ShapesDataset,
    ShapesSample,
)

__all__ = ["ShapesDataModule", "ShapesDataset", "ShapesSample"]
