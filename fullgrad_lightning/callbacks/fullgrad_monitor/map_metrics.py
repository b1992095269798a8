"""The numbers that a monitor logs, gathered over batches and processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor

from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import Samples, Sum
from fullgrad_lightning.decomposition import AttributionBudget, Model
from fullgrad_lightning.decomposition.operations.bias_rules import Kind
from fullgrad_lightning.metrics import (
    CompletenessResidual,
    energy_inside,
    pointing_game,
    saliency_drift,
)
from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.fullgrad import FullGrad

SHARES = ("input", *get_args(Kind))
OF_MAPS = ("coverage", "drift", "pointing_game", "energy_inside")


class Budgets:
    """Completeness, and who carries the logit, over the samples of all processes."""

    def __init__(self, device: torch.device) -> None:
        self._residual = CompletenessResidual().to(device)
        self._shares = torch.zeros(len(SHARES), dtype=torch.float64)
        self._samples = 0

    def add(self, budget: AttributionBudget) -> None:
        """Adds the budget of some samples of this process."""
        self._residual.update(budget.relative_residual)
        for kind, share in budget.share_by_kind().items():
            self._shares[SHARES.index(kind)] += share.sum().cpu()
        self._samples += len(budget.output)

    def scalars(self, sum_over_processes: Sum) -> dict[str, Tensor]:
        """``residual_mean``, ``residual_max``, ``share_…``; none without samples. A collective."""
        counted = torch.tensor([self._samples], dtype=torch.float64)
        *shares, samples = sum_over_processes(torch.cat([self._shares, counted]))
        residual = self._residual.compute()
        if not samples:
            return {}
        found = {f"residual_{name}": value for name, value in residual.items()}
        named = zip(SHARES, shares, strict=True)
        return found | {f"share_{kind}": share / samples for kind, share in named}


def of_maps(
    maps: Tensor,
    samples: Samples,
    previous: Tensor | None,
    coverage: Callable[[], Tensor] | None,
) -> Tensor:
    """The numbers ``OF_MAPS``, float64; NaN for what cannot be told.

    Args:
        maps: (n, 1, H, W).
        samples: Whose maps they are.
        previous: Their maps before, if any.
        coverage: Computes the coverage of each sample, (n,), for methods that have one.
    """
    unknown = torch.tensor(torch.nan)
    drift = unknown if previous is None else saliency_drift(maps, previous).mean()
    hits = energy = unknown
    marked = samples.masks.flatten(1).any(1)  # an empty mask tells nothing
    if marked.any():
        hits = pointing_game(maps[marked], samples.masks[marked]).double().mean()
        energy = energy_inside(maps[marked], samples.masks[marked]).mean()
    covered = unknown if coverage is None else coverage().mean()
    return torch.stack([value.double().cpu() for value in (covered, drift, hits, energy)])


def coverage_of(
    method: SaliencyMethod, network: Model, inputs: Tensor, targets: Tensor
) -> Callable[[], Tensor] | None:
    """How to ask a method of its coverage, if it has one."""
    if not isinstance(method, FullGrad):
        return None
    return lambda: method.coverage(network, inputs, targets)
