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
from fullgrad_lightning.decomposition.stream import Model
from fullgrad_lightning.decomposition.target import Target, explained_scalar
from fullgrad_lightning.decomposition.tracing.sites import Site
from fullgrad_lightning.decomposition.undisturbed import undisturbed

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
    "local_residuals",
    "undisturbed",
]
