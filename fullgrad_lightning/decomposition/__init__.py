"""The exact full-gradient decomposition of any differentiable network, which needs torch alone."""

from fullgrad_lightning.decomposition.attribution_budget import (
    AttributionBudget,
    attribution_budget,
)
from fullgrad_lightning.decomposition.bias_gradients import Model
from fullgrad_lightning.decomposition.completeness import IncompleteDecomposition, local_residuals
from fullgrad_lightning.decomposition.full_gradients import (
    BiasGradient,
    FullGradients,
    full_gradients,
)
from fullgrad_lightning.decomposition.isolation import isolate_model
from fullgrad_lightning.decomposition.target import Target, explained_scalar
from fullgrad_lightning.decomposition.tracing.sites import Site

__all__ = [
    "AttributionBudget",
    "BiasGradient",
    "FullGradients",
    "IncompleteDecomposition",
    "Model",
    "Site",
    "Target",
    "attribution_budget",
    "explained_scalar",
    "full_gradients",
    "isolate_model",
    "local_residuals",
]
