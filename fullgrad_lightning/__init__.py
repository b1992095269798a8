"""Full-gradients for PyTorch Lightning: why a network answers as it does, exactly.

After Srinivas & Fleuret, "Full-Gradient Representation for Neural Network Visualization",
NeurIPS 2019. ``(n)`` in docstrings refers to the paper's equations.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what `_HOME` says, for type checkers and editors
    from fullgrad_lightning import callbacks as callbacks
    from fullgrad_lightning import datamodules as datamodules
    from fullgrad_lightning import decomposition as decomposition
    from fullgrad_lightning import metrics as metrics
    from fullgrad_lightning import models as models
    from fullgrad_lightning import saliency as saliency
    from fullgrad_lightning import visualization as visualization
    from fullgrad_lightning.callbacks import (
        FullGradMonitor,
        PixelPerturbationMonitor,
        SaliencyWriter,
    )
    from fullgrad_lightning.datamodules import (
        CIFAR10DataModule,
        CIFAR100DataModule,
        FashionMNISTDataModule,
        ImageFolderDataModule,
        MNISTDataModule,
        ROARDataModule,
        ShapesDataModule,
    )
    from fullgrad_lightning.decomposition import (
        AttributionBudget,
        BiasGradient,
        FullGradients,
        IncompleteDecomposition,
        attribution_budget,
        full_gradients,
    )
    from fullgrad_lightning.metrics import (
        ROAD,
        ClassFlipping,
        CompletenessResidual,
        EnergyPointingGame,
        InsertionDeletion,
        PixelPerturbation,
        PointingGame,
        SaliencyDrift,
    )
    from fullgrad_lightning.models import ImageClassifier, SaliencyPredictor, vgg9
    from fullgrad_lightning.saliency.fullgrad import FullGrad
    from fullgrad_lightning.saliency.layer_maps import layer_maps
    from fullgrad_lightning.saliency.registry import saliency_method, saliency_methods
    from fullgrad_lightning.saliency.simple_fullgrad import SimpleFullGrad
    from fullgrad_lightning.saliency.smooth_fullgrad import SmoothFullGrad

__all__ = [
    "ROAD",
    "AttributionBudget",
    "BiasGradient",
    "CIFAR10DataModule",
    "CIFAR100DataModule",
    "ClassFlipping",
    "CompletenessResidual",
    "EnergyPointingGame",
    "FashionMNISTDataModule",
    "FullGrad",
    "FullGradMonitor",
    "FullGradients",
    "ImageClassifier",
    "ImageFolderDataModule",
    "IncompleteDecomposition",
    "InsertionDeletion",
    "MNISTDataModule",
    "PixelPerturbation",
    "PixelPerturbationMonitor",
    "PointingGame",
    "ROARDataModule",
    "SaliencyDrift",
    "SaliencyPredictor",
    "SaliencyWriter",
    "ShapesDataModule",
    "SimpleFullGrad",
    "SmoothFullGrad",
    "attribution_budget",
    "full_gradients",
    "layer_maps",
    "saliency_method",
    "saliency_methods",
    "vgg9",
]
__version__ = "0.1.0"

# Imported when first asked for: `fullgrad --help` and a project that only wants the decomposition
# need not wait for Lightning.
_HOME = {
    "callbacks": "FullGradMonitor PixelPerturbationMonitor SaliencyWriter",
    "datamodules": (
        "CIFAR10DataModule CIFAR100DataModule FashionMNISTDataModule ImageFolderDataModule"
        " MNISTDataModule ROARDataModule ShapesDataModule"
    ),
    "decomposition": (
        "AttributionBudget BiasGradient FullGradients IncompleteDecomposition attribution_budget"
        " full_gradients"
    ),
    "metrics": (
        "ClassFlipping CompletenessResidual EnergyPointingGame InsertionDeletion PixelPerturbation"
        " PointingGame ROAD SaliencyDrift"
    ),
    "models": "ImageClassifier SaliencyPredictor vgg9",
    "saliency.fullgrad": "FullGrad",
    "saliency.layer_maps": "layer_maps",
    "saliency.registry": "saliency_method saliency_methods",
    "saliency.simple_fullgrad": "SimpleFullGrad",
    "saliency.smooth_fullgrad": "SmoothFullGrad",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}
_ROOMS = {module.split(".")[0] for module in _HOME} | {"visualization"}


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # from now on without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
