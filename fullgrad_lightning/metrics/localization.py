"""Localisation: the share of the saliency, or of its maxima, that lies on the objects."""

from __future__ import annotations

from torch import Tensor

from fullgrad_lightning.metrics.base import SampleMean
from fullgrad_lightning.metrics.functional.checks import as_masks
from fullgrad_lightning.metrics.functional.localization import energy_inside, pointing_game


class PointingGame(SampleMean):
    """The share of samples whose most salient pixel lies on the object: ``pointing_game``.

    ``compute`` returns a float64 scalar in [0, 1]; NaN without a sample. Samples with an empty mask
    are left out.

    Examples:
        >>> import torch
        >>> hits, masks = PointingGame(), torch.zeros(2, 8, 8)
        >>> masks[:, :4] = 1
        >>> hits.update(torch.stack([masks[0], 1 - masks[1]])[:, None], masks)
        >>> hits.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    higher_is_better = True

    def update(self, maps: Tensor, masks: Tensor) -> None:
        """Adds samples.

        Args:
            maps: (N, 1, H, W), real.
            masks: (N, H, W) or (N, 1, H, W), bool or 0 and 1.

        Raises:
            ValueError: Other shapes, or masks with other values.
        """
        hits = pointing_game(maps, masks)
        self.add(hits[as_masks(masks, maps).flatten(1).any(1)])


class EnergyPointingGame(SampleMean):
    """The mean share of positive saliency that lies on the object: ``energy_inside``.

    ``compute`` returns a float64 scalar in [0, 1]; NaN without a sample. Samples with an empty mask
    are left out; where no pixel is salient the share is 0.

    Examples:
        >>> import torch
        >>> energy, masks = EnergyPointingGame(), torch.zeros(2, 8, 8)
        >>> masks[:, :2] = 1
        >>> energy.update(torch.ones(2, 1, 8, 8), masks)
        >>> energy.compute()
        tensor(0.2500, dtype=torch.float64)
    """

    higher_is_better = True

    def update(self, maps: Tensor, masks: Tensor) -> None:
        """Adds samples.

        Args:
            maps: (N, 1, H, W), real.
            masks: (N, H, W) or (N, 1, H, W), bool or 0 and 1.

        Raises:
            ValueError: Other shapes, or masks with other values.
        """
        share = energy_inside(maps, masks)
        self.add(share[as_masks(masks, maps).flatten(1).any(1)])
