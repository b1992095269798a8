"""The functions that the metrics average: one number per sample."""

from fullgrad_lightning.metrics.functional.drift import saliency_drift
from fullgrad_lightning.metrics.functional.localization import energy_inside, pointing_game

__all__ = ["energy_inside", "pointing_game", "saliency_drift"]
