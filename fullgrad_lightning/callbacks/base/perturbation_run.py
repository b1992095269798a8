"""One validation of a ``PixelPerturbationMonitor``, as its batches pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.batches import ImageReader, images_read_by, logits_read_by
from fullgrad_lightning.callbacks.base.trainer_access import dataset_positions
from fullgrad_lightning.callbacks.fullgrad_monitor.explain import answers, maps_of
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.metrics import PixelPerturbation
from fullgrad_lightning.saliency.base import SaliencyMethod


@dataclass
class Perturbing:
    """Explains the first samples of one validation, and replaces their pixels.

    Args:
        reader: How batches and outputs are read: the monitor.
        metric: On the network's device.
        method: Its maps are ranked.
        prefix: Of the keys to be logged.
        num_samples: How many positions of the data set are looked at.
        seed: Of the order of pixels that are equally salient.
        size: Of the data set, if known.
    """

    reader: ImageReader
    metric: PixelPerturbation
    method: SaliencyMethod
    prefix: str
    num_samples: int
    seed: int
    size: int | None
    seen: int = 0

    def look(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any) -> None:
        """Takes from a batch what is among the first samples."""
        inputs = images_read_by(self.reader, batch)
        where = dataset_positions(trainer, self.seen, len(inputs), self.size)
        first = self.seen == 0
        self.seen += len(inputs)
        if trainer.sanity_checking:  # is this a batch and a network that can be explained?
            where = [0] if first else []
        found = [(i, p) for i, p in enumerate(where) if p is not None and p < self.num_samples]
        if found:
            rows, its = map(list, zip(*found, strict=True))
            self._perturb(module, inputs[rows], torch.tensor(its))

    def numbers(self) -> dict[str, Tensor]:
        """What is known by its key, the same in every process. A collective."""
        scalars = self.metric.scalars(self.prefix)
        return {key: value.float() for key, value in scalars.items() if not value.isnan()}

    def _perturb(
        self, module: pl.LightningModule, inputs: Tensor, sample_positions: Tensor
    ) -> None:
        said = answers(module, inputs, partial(logits_read_by, self.reader))
        methods = {"it": self.method}
        maps = maps_of(methods, said.network, inputs, said.predicted, sample_positions)["it"]
        rows = maps.isfinite().flatten(1).all(1)
        ids = sample_positions[rows]
        self.metric.update(
            said.network,
            inputs[rows.to(inputs.device)],
            rank_pixels(maps[rows], ids, seed=self.seed),
            target=said.predicted[rows.to(inputs.device)],
            sample_ids=ids,
        )
