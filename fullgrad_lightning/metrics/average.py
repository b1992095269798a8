"""The mean of one number per sample: what all metrics of maps keep."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


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
