"""Scalars of a ``FullGradMonitor``: completeness over many samples, and metrics of the maps."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import (
    SumOverProcesses,
    WatchedSamples,
)
from fullgrad_lightning.decomposition import AttributionBudget
from fullgrad_lightning.decomposition.operations.bias_rules import Kind
from fullgrad_lightning.metrics import (
    CompletenessResidual,
    energy_inside,
    pointing_game,
    saliency_drift,
)

SHARES = ("input", *get_args(Kind))
MAP_METRICS = ("coverage", "drift", "pointing_game", "energy_inside")


class CompletenessTotals:
    """Residual of the decomposition and shares of its terms, over the samples of all processes.

    Args:
        device: The network's device.
    """

    def __init__(self, device: torch.device) -> None:
        self._residual = CompletenessResidual().to(device)
        self._shares = torch.zeros(len(SHARES), dtype=torch.float64)
        self._num_samples = 0

    def update(self, budget: AttributionBudget) -> None:
        """Adds samples of this process."""
        self._residual.update(budget.relative_residual)
        for kind, share in budget.share_by_kind().items():
            self._shares[SHARES.index(kind)] += share.sum().cpu()
        self._num_samples += len(budget.output)

    def compute(self, sum_over_processes: SumOverProcesses) -> dict[str, Tensor]:
        """Returns ``residual_mean``, ``residual_max`` and ``share_…``; nothing without samples.

        A collective.
        """
        counted = torch.tensor([self._num_samples], dtype=torch.float64)
        *shares, num_samples = sum_over_processes(torch.cat([self._shares, counted]))
        residual = self._residual.compute()
        if not num_samples:
            return {}
        return {
            **{f"residual_{name}": value for name, value in residual.items()},
            **{f"share_{kind}": s / num_samples for kind, s in zip(SHARES, shares, strict=True)},
        }


def compute_map_metrics(
    maps: Tensor, samples: WatchedSamples, previous: Tensor | None, coverage: Tensor | None
) -> Tensor:
    """Computes ``MAP_METRICS``, (4,) float64; NaN for those that are not defined.

    Args:
        maps: (n, 1, H, W) of the main method.
        samples: The n samples.
        previous: (n, 1, H, W), the maps at the validation before, if any.
        coverage: (n,) of each map, for methods that define it.
    """
    undefined = torch.tensor(torch.nan)
    drift = undefined if previous is None else saliency_drift(maps, previous).mean()
    hits = energy = undefined
    has_object = samples.masks.flatten(1).any(1)
    if has_object.any():
        hits = pointing_game(maps[has_object], samples.masks[has_object]).double().mean()
        energy = energy_inside(maps[has_object], samples.masks[has_object]).mean()
    covered = undefined if coverage is None else coverage.mean()
    return torch.stack([value.double().cpu() for value in (covered, drift, hits, energy)])
