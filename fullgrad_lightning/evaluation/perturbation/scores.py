"""The scores of ``fullgrad perturb``: metrics whose curves are stored for each sample.

Shapes: N samples; M values of a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import ORDERS
from fullgrad_lightning.metrics import ROAD, InsertionDeletion, PixelPerturbation
from fullgrad_lightning.metrics.base import RankedPerturbationMetric
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget
from fullgrad_lightning.utilities.normalization import Normalization

_METRICS: dict[str, Callable[..., list[RankedPerturbationMetric]]] = {
    "perturbation": lambda **options: [PixelPerturbation(order=o, **options) for o in ORDERS],
    "insertion_deletion": lambda **options: [InsertionDeletion(**options)],
    "road": lambda **options: [ROAD(**options)],
}


@dataclass(frozen=True)
class Score:
    """One or more metrics with the same fractions, whose curves ``options`` determine.

    Their curves are stored together; images are not normalised if ``normalization`` is ``None``.
    """

    name: str
    metrics: Sequence[RankedPerturbationMetric]
    options: Mapping[str, Any]
    normalization: Normalization | None

    @property
    def levels(self) -> tuple[float, ...]:
        """Shares of the pixels at which the curves are computed."""
        return self.metrics[0].fractions

    @property
    def columns(self) -> dict[str, int]:
        """Name of each curve, and its number of values; M in all."""
        return {name: size for metric in self.metrics for name, size in metric.curve_sizes.items()}

    @property
    def made_from(self) -> dict[str, Any]:
        """Everything that determines the curves, except images, ranks and network."""
        mean, std = _mean_and_std(self.normalization)
        return {"score": self.name, "mean": mean, "std": std, **self.options}

    def curves(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget,
        sample_ids: Tensor,
    ) -> Tensor:
        """Computes the curves side by side in the order of ``columns``, (N, M) float64.

        Arguments and errors as of ``PixelPerturbation.update``.
        """
        curves: dict[str, Tensor] = {}
        for metric in self.metrics:
            computed = metric.curves(model, images, ranks, target=target, sample_ids=sample_ids)
            curves = {**computed, **curves}
        return torch.cat([curves[name].double() for name in self.columns], 1)


def make_score(name: str, options: Mapping[str, Any], normalization: Normalization | None) -> Score:
    """Constructs a score by name, with options of its metric.

    Raises:
        ValueError: An option out of range.
    """
    mean, std = _mean_and_std(normalization)
    return Score(name, _METRICS[name](mean=mean, std=std, **options), options, normalization)


def _mean_and_std(
    normalization: Normalization | None,
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    return (None, None) if normalization is None else (normalization.mean, normalization.std)
