"""Means over samples, and how far samples are from them."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


def mean_and_std(total: Tensor, squares: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (n − 1) of samples from their sums, (F,) each.

    Args:
        total, squares: (F,) sums of the values and of their squares.
        count: () of the samples.

    Returns:
        NaN, the mean without a sample, the deviation with less than two.
    """
    mean = total / count
    variance = (squares - count * mean.square()) / (count - 1)
    return mean, variance.clamp(min=0).sqrt().masked_fill(count < 2, torch.nan)


class SampleMean(Metric):
    """The mean over samples, float64; NaN without a sample. Exact over processes of any loads."""

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
        """The mean over all samples of all processes, a scalar."""
        return self.total / self.count
