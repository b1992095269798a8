"""One validation of a ``FullGradMonitor``, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.trainer_access import all_reduce_sum, logging_step
from fullgrad_lightning.callbacks.fullgrad_monitor.explain import (
    SampleExplanations,
    explain_samples,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.map_metrics import (
    MAP_METRICS,
    CompletenessTotals,
    compute_map_metrics,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.options import MonitorOptions
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import SampleCollector
from fullgrad_lightning.callbacks.fullgrad_monitor.state import MonitorState
from fullgrad_lightning.decomposition import Model, attribution_budget
from fullgrad_lightning.utilities.targets import resolve_target


@dataclass
class ValidationRun:
    """Explains the watched samples, and measures completeness on them and some more.

    The first process explains, and measures those of the residual samples that are watched; the
    others are measured by the process that gets them, as their batches pass.

    Args:
        options: Options of the explanations.
        state: State of the monitor; it gets the samples, if it has none yet, and their maps.
        positions: Positions in the data set of the watched samples.
        network: Images (N, C, H, W) to logits (N, K), bound to the module.
        trainer: The Trainer that validates or tests.
        module: The module that is validated.

    Attributes:
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
        """Collects the watched samples of a batch and measures the others; the last one, explains.

        Args:
            images: (N, C, H, W).
            labels: (N,) class indices, if there are any.
            masks: (N, H, W) or (N, 1, H, W), masks of the objects, if there are any.
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
