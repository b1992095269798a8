"""The size of rounding errors."""

from __future__ import annotations

import torch
from torch import Tensor


def is_constant(low: Tensor, high: Tensor) -> Tensor:
    """Returns True where values between a minimum and a maximum differ only by rounding.

    Examples:
        >>> is_constant(torch.tensor([1.0, 1.0]), torch.tensor([1.000001, 1.001]))
        tensor([ True, False])
    """
    tolerance = 64 * torch.finfo(high.dtype).eps
    return high - low <= tolerance * torch.maximum(high, -low)
