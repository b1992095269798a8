"""Saliency methods: FullGrad, its variants, and the methods that it is compared with."""

# isort: off
# The order of these imports is the order in which ``saliency_methods()`` lists the names.
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.fullgrad_variants import SimpleFullGrad, SmoothFullGrad
from fullgrad_lightning.saliency.baselines.gradients import InputGradient, InputXGradient
from fullgrad_lightning.saliency.baselines.integrated_gradients import IntegratedGradients
from fullgrad_lightning.saliency.baselines.smoothgrad import SmoothGrad, SmoothGradSquared, VarGrad
from fullgrad_lightning.saliency.baselines.gradcam import GradCAM
from fullgrad_lightning.saliency.baselines.guided_backprop import GuidedBackprop
from fullgrad_lightning.saliency.baselines.controls import Blurred, RandomSaliency, Sobel

# isort: on
from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.registry import (
    register_saliency_method,
    saliency_method,
    saliency_method_class,
    saliency_method_options,
    saliency_methods,
)

__all__ = [
    "Blurred",
    "FullGrad",
    "GradCAM",
    "GuidedBackprop",
    "InputGradient",
    "InputXGradient",
    "IntegratedGradients",
    "RandomSaliency",
    "SaliencyMethod",
    "SimpleFullGrad",
    "SmoothFullGrad",
    "SmoothGrad",
    "SmoothGradSquared",
    "Sobel",
    "VarGrad",
    "register_saliency_method",
    "saliency_method",
    "saliency_method_class",
    "saliency_method_options",
    "saliency_methods",
]
