"""Completeness of decompositions: the mean and the largest residual."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class CompletenessResidual(Metric):
    """The mean and the largest relative residual of decompositions, over all samples.

    The relative residual of a sample is the part of f(x) that its input term and bias terms leave
    unexplained, |f − ⟨∇ₓf, x⟩ − Σ f^b| / (|⟨∇ₓf, x⟩| + Σ |f^b|): a check of equation 1.
    ``full_gradients(…).relative_residual`` returns it.

    ``compute`` returns ``{"mean": …, "max": …}``, float64 scalars; NaN without a sample.

    Examples:
        >>> residual = CompletenessResidual()
        >>> residual.update(torch.tensor([1e-7, 3e-7], dtype=torch.float64))
        >>> {name: f"{value:.0e}" for name, value in residual.compute().items()}
        {'mean': '2e-07', 'max': '3e-07'}
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    total: Tensor
    largest: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        zero = torch.zeros((), dtype=torch.float64)
        self.add_state("total", zero, dist_reduce_fx="sum")
        self.add_state("largest", zero, dist_reduce_fx="max")  # residuals are not negative
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, relative_residual: Tensor) -> None:
        """Adds samples.

        Args:
            relative_residual: (N,), floating point, not negative. NaN stays visible in the result.

        Raises:
            ValueError: Another shape, or negative values.
        """
        if relative_residual.ndim != 1 or not relative_residual.is_floating_point():
            raise ValueError(
                "relative_residual must be floating point of shape (N,), got "
                f"{relative_residual.dtype} of shape {tuple(relative_residual.shape)}."
            )
        if (relative_residual < 0).any():
            raise ValueError(
                "relative_residual must not be negative, got "
                f"{relative_residual.min().item():g}. Pass absolute values."
            )
        values = relative_residual.detach().to(self.total)
        self.total = self.total + values.sum()
        self.largest = torch.cat([self.largest[None], values]).amax()
        self.count = self.count + len(values)

    def compute(self) -> dict[str, Tensor]:
        """Returns the mean and the maximum over all samples of all processes."""
        missing = torch.full_like(self.largest, torch.nan)
        return {
            "mean": self.total / self.count,
            "max": torch.where(self.count > 0, self.largest, missing),
        }
