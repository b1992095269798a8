"""The exact full-gradient decomposition of any differentiable network. Knows torch alone."""

from fullgrad_lightning.decomposition.audit import IncompleteDecomposition, local_residuals
from fullgrad_lightning.decomposition.budget import AttributionBudget, attribution_budget
from fullgrad_lightning.decomposition.full import BiasGradient, FullGradients, full_gradients
from fullgrad_lightning.decomposition.layers import layer_maps
from fullgrad_lightning.decomposition.sites import Site

__all__ = [
    "AttributionBudget",
    "BiasGradient",
    "FullGradients",
    "IncompleteDecomposition",
    "Site",
    "attribution_budget",
    "full_gradients",
    "layer_maps",
    "local_residuals",
]
