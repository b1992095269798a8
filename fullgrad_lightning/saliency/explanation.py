"""Explanation: the map of each sample with its coverage, layer maps and attribution budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import AttributionBudget
from fullgrad_lightning.decomposition.attribution_budget import join_budgets
from fullgrad_lightning.saliency.layer_maps import join_layer_maps


@dataclass(frozen=True)
class Explanation:
    """The results of one decomposition pass over N samples; ``None`` if not requested.

    Attributes:
        saliency: (N, 1, H, W), as ``FullGrad.__call__`` returns.
        coverage: (N,), as ``FullGrad.coverage`` returns.
        layer_maps: Site name -> (N, 1, h, w), as ``layer_maps`` returns.
        budget: As ``attribution_budget`` returns.
    """

    saliency: Tensor
    coverage: Tensor | None = None
    layer_maps: dict[str, Tensor] | None = None
    budget: AttributionBudget | None = None


def join_explanations(parts: Sequence[Explanation]) -> Explanation:
    """Joins explanations of single samples to one of the batch."""
    coverages = [part.coverage for part in parts if part.coverage is not None]
    layer_maps = [part.layer_maps for part in parts if part.layer_maps is not None]
    budgets = [part.budget for part in parts if part.budget is not None]
    return Explanation(
        torch.cat([part.saliency for part in parts]),
        torch.cat(coverages) if coverages else None,
        join_layer_maps(layer_maps) if layer_maps else None,
        join_budgets(budgets) if budgets else None,
    )
