"""Full-gradients for PyTorch Lightning: why a network answers as it does, exactly.

After Srinivas & Fleuret, "Full-Gradient Representation for Neural Network Visualization",
NeurIPS 2019. ``(n)`` in docstrings refers to the paper's equations.
"""

from fullgrad_lightning.decomposition import (
    AttributionBudget,
    BiasGradient,
    FullGradients,
    IncompleteDecomposition,
    attribution_budget,
    full_gradients,
)
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.layer_maps import layer_maps
from fullgrad_lightning.saliency.registry import saliency_method, saliency_methods
from fullgrad_lightning.saliency.simple_fullgrad import SimpleFullGrad
from fullgrad_lightning.saliency.smooth_fullgrad import SmoothFullGrad

__all__ = [
    "AttributionBudget",
    "BiasGradient",
    "FullGrad",
    "FullGradients",
    "IncompleteDecomposition",
    "SimpleFullGrad",
    "SmoothFullGrad",
    "attribution_budget",
    "full_gradients",
    "layer_maps",
    "saliency_method",
    "saliency_methods",
]
__version__ = "0.1.0"
