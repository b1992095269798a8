"""One validation of a ``FullGradMonitor``, batch by batch, and the scalars that it computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.trainer_access import all_reduce_sum, logging_step
from fullgrad_lightning.callbacks.fullgrad_monitor.explain import (
    MonitorOptions,
    SampleExplanations,
    explain_samples,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import (
    SampleCollector,
    SumOverProcesses,
    WatchedSamples,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.state import MonitorState
from fullgrad_lightning.decomposition import AttributionBudget, Model, attribution_budget
from fullgrad_lightning.decomposition.operations.bias_rules import Kind
from fullgrad_lightning.metrics import (
    CompletenessResidual,
    energy_inside,
    pointing_game,
    saliency_drift,
)
from fullgrad_lightning.utilities.targets import resolve_target

SHARES = ("input", *get_args(Kind))
MAP_METRICS = ("coverage", "drift", "pointing_game", "energy_inside")


@dataclass
class ValidationRun:
    """Explains the watched samples, and measures completeness on them and some more.

    The first process explains, and measures those of the residual samples that are watched; the
    others are measured by the process that gets them, as their batches pass.

    Attributes:
        state: State of the monitor, which receives the samples, unless it has them, and their maps.
        positions: Positions in the data set of the watched samples.
        network: Images (N, C, H, W) to logits (N, K), bound to the module.
        explanations: Explanations of the watched samples; ``None`` before, and in other processes
            than the first.
    """

    options: MonitorOptions
    state: MonitorState
    positions: Sequence[int]
    network: Model
    trainer: pl.Trainer
    module: pl.LightningModule
    explanations: SampleExplanations | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._device = torch.device(self.module.device)
        self._completeness = CompletenessTotals(self._device)
        self._map_metrics = torch.full((len(MAP_METRICS),), math.nan, dtype=torch.float64)
        self._collector = SampleCollector(self.positions) if self.state.samples is None else None
        self._is_explained = False

    def update(
        self,
        images: Tensor,
        labels: Tensor | None,
        masks: Tensor | None,
        positions: Sequence[int | None],
        *,
        last: bool,
    ) -> None:
        """Collects the watched samples of a batch and measures the others; explains after the last.

        Args:
            images: (N, C, H, W).
            labels: (N,) class indices.
            masks: (N, H, W) or (N, 1, H, W), masks of the objects.
            positions: N positions in the data set; ``None`` for repetitions.
            last: True if no batch follows.
        """
        if self._collector is not None:
            self._collector.update(images, labels, masks, positions)
        rows = [i for i, position in enumerate(positions) if self._is_measured_alone(position)]
        if rows:
            target = resolve_target(self.options.target, None if labels is None else labels[rows])
            with self.options.report_incompleteness() as tolerance:
                budget = attribution_budget(self.network, images[rows], target, tolerance=tolerance)
            self._completeness.update(budget)
        if last:
            self._explain()

    def compute(self) -> dict[str, Tensor]:
        """Returns all scalars by name, the same in every process. A collective."""
        self._explain()  # no batch of a loader without a length counts as the last
        explains = self.trainer.is_global_zero
        map_metrics = self._map_metrics if explains else torch.zeros_like(self._map_metrics)
        values = dict(zip(MAP_METRICS, self._sum_over_processes(map_metrics), strict=True))
        scalars = self._completeness.compute(self._sum_over_processes)
        scalars |= {name: value for name, value in values.items() if not value.isnan()}
        return {name: value.float().to(self._device) for name, value in scalars.items()}

    def _explain(self) -> None:
        if self._is_explained:
            return
        self._is_explained = True
        if self._collector is not None:
            samples = self._collector.collect(self._sum_over_processes)
            self.state.samples = samples if len(samples) else None
        if self.state.samples is None or not self.trainer.is_global_zero:
            return
        explanations = explain_samples(self.network, self.state.samples, self.options, self._device)
        for budget in explanations.budgets:
            self._completeness.update(budget)
        maps = next(iter(explanations.maps.values()))
        self._map_metrics = compute_map_metrics(
            maps, self.state.samples, self.state.maps, explanations.coverage
        )
        epoch = self.trainer.current_epoch if self.trainer.global_step else -1
        self.state.update(maps, epoch, logging_step(self.trainer))
        self.explanations = explanations

    def _is_measured_alone(self, position: int | None) -> bool:
        if position is None or position in self.positions:
            return False
        return position < self.options.residual_samples

    def _sum_over_processes(self, values: Tensor) -> Tensor:
        return all_reduce_sum(self.trainer, self.module, values)


class CompletenessTotals:
    """Residual of the decomposition and shares of its terms, over the samples of all processes."""

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
        """Returns ``residual_…`` and ``share_…``; nothing without samples. A collective."""
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
    """Computes ``MAP_METRICS``, (4,) float64, of maps (n, 1, H, W); NaN for undefined ones.

    ``previous`` are the maps of the previous validation, ``coverage`` is that of each map, (n,).
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
