"""The synthetic data set: textured objects on a cluttered background."""

from fullgrad_lightning.datamodules.shapes.datamodule import (
    ShapesDataModule,
    ShapesDataset,
    ShapesSample,
)

__all__ = ["ShapesDataModule", "ShapesDataset", "ShapesSample"]
