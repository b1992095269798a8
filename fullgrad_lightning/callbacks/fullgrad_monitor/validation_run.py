"""One validation, as its batches pass."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.batches import Reader, logits_read_by, read
from fullgrad_lightning.callbacks.base.trainer_access import (
    all_reduce_sum,
    dataset_positions,
    is_last_batch,
    logging_step,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.explain import answers, maps_of, shown_layers
from fullgrad_lightning.callbacks.fullgrad_monitor.map_metrics import (
    OF_MAPS,
    Budgets,
    coverage_of,
    of_maps,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.options import MonitorOptions
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import Gathering, Samples
from fullgrad_lightning.callbacks.fullgrad_monitor.state import Watched
from fullgrad_lightning.decomposition import IncompleteDecomposition, Model, attribution_budget


@dataclass(frozen=True)
class Explanation:
    """What the first process has to show of one validation.

    Attributes:
        samples: Whose it is.
        predicted, confidence, targets: (n,) each, on the CPU.
        maps: Method -> (n, 1, H, W), on the CPU.
        layers: For each sample, layer -> (1, 1, h, w); empty where not asked for.
        measured: The numbers ``OF_MAPS``.
    """

    samples: Samples
    predicted: Tensor
    confidence: Tensor
    targets: Tensor
    maps: dict[str, Tensor]
    layers: list[dict[str, Tensor]]
    measured: Tensor


@dataclass
class Evaluation:
    """Explains the watched samples of one validation, and checks completeness on some more.

    Args:
        options: Of the monitor.
        reader: How batches and outputs are read: the monitor.
        watched: What is remembered between validations.
        prefix: Of the keys to be logged.
        wanted: Positions of the samples to watch, should none be watched yet.
        size: Of the data set, if known.
        device: Of the network.
    """

    options: MonitorOptions
    reader: Reader
    watched: Watched
    prefix: str
    wanted: Sequence[int]
    size: int | None
    device: torch.device
    seen: int = 0
    done: bool = False
    explanation: Explanation | None = None
    network: Model | None = None
    gathering: Gathering | None = field(init=False, default=None)
    budgets: Budgets = field(init=False)

    def __post_init__(self) -> None:
        self.budgets = Budgets(self.device)
        if self.watched.samples is None:
            self.gathering = Gathering(self.wanted)

    def look(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Takes from a batch what is to be explained; after the last one, explains."""
        inputs, labels, masks = read(self.reader, batch)
        if trainer.sanity_checking:  # is this a batch and a network that can be explained?
            if self.seen == 0:
                self._check(module, inputs[:1], None if labels is None else labels[:1])
            self.seen += len(inputs)
            return
        where = dataset_positions(trainer, self.seen, len(inputs), self.size)
        self.seen += len(inputs)
        if self.gathering is not None:
            self.gathering.look(where, inputs, labels, masks)
        most = self.options.residual_samples
        rows = [i for i, position in enumerate(where) if position is not None and position < most]
        if rows:
            its = None if labels is None else labels[rows]
            self._check(module, inputs[rows], its)
        if is_last_batch(trainer, batch_idx, self.options.dataloader_idx):
            self._explain(trainer, module)

    def finished(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Tensor]:
        """All numbers to be logged, the same in every process. A collective."""
        self._explain(trainer, module)
        total = partial(all_reduce_sum, trainer, module)
        explanation = self.explanation
        measured = torch.zeros(len(OF_MAPS), dtype=torch.float64)
        if explanation is not None:
            measured = explanation.measured
        elif trainer.is_global_zero:
            measured = torch.full_like(measured, math.nan)
        numbers = dict(zip(OF_MAPS, total(measured), strict=True))
        known = {name: value for name, value in numbers.items() if not value.isnan()}
        scalars = self.budgets.scalars(total) | known
        return {name: value.float().to(self.device) for name, value in scalars.items()}

    def _explain(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.done:
            return
        self.done = True
        if self.gathering is not None:
            samples = self.gathering.gathered(partial(all_reduce_sum, trainer, module))
            self.watched.samples = samples if len(samples) else None
        if self.watched.samples is not None and trainer.is_global_zero:
            epoch = trainer.current_epoch if trainer.global_step else -1
            self.explanation = self._explained(module, self.watched.samples)
            maps = self.explanation.maps[self.options.method]
            self.watched.maps = maps
            self.watched.film.add(maps, epoch, logging_step(trainer))

    def _explained(self, module: pl.LightningModule, samples: Samples) -> Explanation:
        inputs = samples.inputs.to(self.device)
        labels = samples.labels.to(self.device)
        said = answers(module, inputs, partial(logits_read_by, self.reader))
        targets = said.predicted
        if self.options.target != "predicted":
            targets = self._targets(labels if (labels >= 0).all() else None, len(samples))
        methods = self.options.saliency_methods()
        maps = maps_of(methods, said.network, inputs, targets, samples.positions)
        covered = coverage_of(methods[self.options.method], said.network, inputs, targets)
        return Explanation(
            samples,
            said.predicted.cpu(),
            said.confidence.cpu(),
            targets.cpu(),
            maps,
            shown_layers(said.network, inputs, targets) if self.options.layer_maps else [],
            of_maps(maps[self.options.method], samples, self.watched.maps, covered),
        )

    def _check(self, module: pl.LightningModule, inputs: Tensor, labels: Tensor | None) -> None:
        """Decomposes some samples, and adds up how complete that is."""
        if self.network is None:
            self.network = answers(module, inputs[:1], partial(logits_read_by, self.reader)).network
        target = None  # the top class, without another forward pass
        if self.options.target != "predicted":
            target = self._targets(labels, len(inputs))
        tolerance = math.inf if self.options.on_incomplete == "ignore" else self.options.tolerance
        with warnings.catch_warnings():
            if self.options.on_incomplete == "error":
                warnings.simplefilter("error", IncompleteDecomposition)
            self.budgets.add(attribution_budget(self.network, inputs, target, tolerance=tolerance))

    def _targets(self, labels: Tensor | None, n: int) -> Tensor:
        target = self.options.target
        if isinstance(target, int):
            return torch.full((n,), target, device=self.device)
        if labels is None:
            raise TypeError(
                "target='label' found no class indices (N,) in the batch. Override "
                f"{type(self.reader).__name__}.batch_to_label(batch), or use target='predicted'."
            )
        return labels.to(self.device, torch.int64)
