"""Saliency drift: the change of saliency maps between two validation runs."""

from __future__ import annotations

from torch import Tensor

from fullgrad_lightning.metrics.base import SampleMean
from fullgrad_lightning.metrics.functional.saliency_drift import saliency_drift


class SaliencyDrift(SampleMean):
    """The mean of ``saliency_drift``, 1 − the Spearman correlation, over samples.

    ``compute`` returns a float64 scalar in [0, 2]; NaN without a sample.

    Examples:
        >>> import torch
        >>> drift, maps = SaliencyDrift(), torch.rand(4, 1, 8, 8)
        >>> drift.update(maps, previous=maps**2)
        >>> drift.compute()
        tensor(0., dtype=torch.float64)
    """

    higher_is_better = False

    def update(self, maps: Tensor, previous: Tensor) -> None:
        """Adds samples.

        Args:
            maps: (N, 1, H, W), real.
            previous: (N, 1, H, W), real: the same samples, earlier.

        Raises:
            ValueError: Other shapes, or shapes that differ.
        """
        self.add(saliency_drift(maps, previous))
