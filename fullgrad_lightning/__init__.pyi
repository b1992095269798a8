# The public names of the package: type checkers read this file, lazy_loader imports from it.
from . import (
    callbacks as callbacks,
    datamodules as datamodules,
    decomposition as decomposition,
    metrics as metrics,
    models as models,
    saliency as saliency,
    visualization as visualization,
)
from ._version import __version__ as __version__
from .callbacks import (
    FullGradMonitor as FullGradMonitor,
    PixelPerturbationMonitor as PixelPerturbationMonitor,
    SaliencyWriter as SaliencyWriter,
)
from .datamodules import (
    CIFAR10DataModule as CIFAR10DataModule,
    CIFAR100DataModule as CIFAR100DataModule,
    FashionMNISTDataModule as FashionMNISTDataModule,
    ImageFolderDataModule as ImageFolderDataModule,
    MNISTDataModule as MNISTDataModule,
    ROARDataModule as ROARDataModule,
    ShapesDataModule as ShapesDataModule,
)
from .decomposition import (
    AttributionBudget as AttributionBudget,
    BiasGradient as BiasGradient,
    FullGradients as FullGradients,
    IncompleteDecomposition as IncompleteDecomposition,
    attribution_budget as attribution_budget,
    full_gradients as full_gradients,
)
from .metrics import (
    ROAD as ROAD,
    ClassFlipping as ClassFlipping,
    CompletenessResidual as CompletenessResidual,
    EnergyPointingGame as EnergyPointingGame,
    InsertionDeletion as InsertionDeletion,
    PixelPerturbation as PixelPerturbation,
    PointingGame as PointingGame,
    SaliencyDrift as SaliencyDrift,
)
from .models import (
    ImageClassifier as ImageClassifier,
    SaliencyPredictor as SaliencyPredictor,
    vgg9 as vgg9,
)
from .saliency.base import SaliencyMethod as SaliencyMethod
from .saliency.fullgrad import FullGrad as FullGrad
from .saliency.fullgrad_variants import (
    SimpleFullGrad as SimpleFullGrad,
    SmoothFullGrad as SmoothFullGrad,
)
from .saliency.layer_maps import layer_maps as layer_maps
from .saliency.registry import (
    register_saliency_method as register_saliency_method,
    saliency_method as saliency_method,
    saliency_methods as saliency_methods,
)
