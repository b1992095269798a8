"""The exact full-gradient decomposition of any differentiable network. Knows torch alone."""

from fullgrad_lightning.decomposition.consumers.audit import (
    IncompleteDecomposition,
    local_residuals,
)
from fullgrad_lightning.decomposition.consumers.budget import AttributionBudget, attribution_budget
from fullgrad_lightning.decomposition.consumers.full import (
    BiasGradient,
    FullGradients,
    full_gradients,
)
from fullgrad_lightning.decomposition.consumers.layers import layer_maps
from fullgrad_lightning.decomposition.tracing.sites import Site

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
