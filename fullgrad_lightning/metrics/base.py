"""Bases of the metrics: means over samples, and sums of the curves of samples.

Shapes: N samples, F fractions of the pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget, check_fractions
from fullgrad_lightning.utilities.checks import check_int


class SampleMean(Metric):
    """The mean over samples, float64; NaN without a sample. Exact for any split over processes."""

    is_differentiable = False
    full_state_update = False

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def add(self, values: Tensor) -> None:
        """Adds the values (N,) of samples."""
        self.total = self.total + values.to(self.total).sum()
        self.count = self.count + len(values)

    def compute(self) -> Tensor:
        """Returns the mean over all samples of all processes, a scalar."""
        return self.total / self.count


class PerturbationMetric(Metric):
    """Sums of curves over samples: base of the metrics that replace pixels.

    Args:
        fractions: F shares of the pixels, 0…1, in ascending order.
        sums: Names of the states, each a sum of curves (F,).
        batch_size: Maximum number of images in one call of the network.

    Raises:
        ValueError: An argument out of range.
    """

    is_differentiable = False
    full_state_update = False

    count: Tensor

    def __init__(self, fractions: Sequence[float], sums: Sequence[str], *, batch_size: int) -> None:
        super().__init__()
        check_fractions(fractions)
        check_int("batch_size", batch_size, 1)
        self.fractions, self.batch_size = tuple(fractions), batch_size
        for name in sums:
            zeros = torch.zeros(len(self.fractions), dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def _add(self, **curves: Tensor) -> None:
        """Adds curves (N, F) to the sums of the same names."""
        for name, values in curves.items():
            total: Tensor = getattr(self, name)
            setattr(self, name, total + values.to(total).sum(0))
        self.count = self.count + len(next(iter(curves.values())))

    def _mean(self, name: str) -> Tensor:
        """Returns the mean (F,) of a sum over samples; NaN without a sample."""
        total: Tensor = getattr(self, name)
        return total / self.count

    def _mean_and_std(self, total: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation (n − 1) from the sums of values and squares, (F,).

        The mean is NaN without a sample, the deviation with fewer than two.
        """
        mean = total / self.count
        variance = (squares - self.count * mean.square()) / (self.count - 1)
        return mean, variance.clamp(min=0).sqrt().masked_fill(self.count < 2, torch.nan)

    def _fractions_tensor(self) -> Tensor:
        """Returns the fractions (F,), float64, on the device of the metric."""
        return torch.tensor(self.fractions, dtype=torch.float64, device=self.count.device)


class RankedPerturbationMetric(PerturbationMetric):
    """Base of the metrics that replace pixels in the order of their ranks."""

    @property
    @abstractmethod
    def curve_sizes(self) -> dict[str, int]:
        """Name of each curve of a sample, and its number of values."""

    @abstractmethod
    def curves(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget = None,
        sample_ids: Tensor | Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """Computes the curves of each sample; arguments and errors as of ``update``.

        Returns:
            Each curve by name, (N, number of values).
        """

    def update(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget = None,
        sample_ids: Tensor | Sequence[int] | None = None,
    ) -> None:
        """Adds samples.

        Args:
            model: Returns logits (N, K); it runs in eval mode, and its state is restored exactly.
            images: (N, C, H, W) as the network gets them.
            ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
            target: ``None`` (the top class of each clean image), a class index, or indices (N,).
            sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.

        Raises:
            TypeError, ValueError: Inputs that do not fit, or a model that does not return logits.
        """
        self._add_curves(self.curves(model, images, ranks, target=target, sample_ids=sample_ids))

    def _add_curves(self, curves: dict[str, Tensor]) -> None:
        """Adds the curves of samples, by default to the sums of the same names."""
        self._add(**curves)
