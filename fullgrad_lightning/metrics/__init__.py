"""Metrics of saliency: is it complete, does it change, does it find the object?"""

from fullgrad_lightning.metrics.completeness import CompletenessResidual
from fullgrad_lightning.metrics.drift import SaliencyDrift
from fullgrad_lightning.metrics.functional import energy_inside, pointing_game, saliency_drift
from fullgrad_lightning.metrics.localization import EnergyPointingGame, PointingGame

__all__ = [
    "CompletenessResidual",
    "EnergyPointingGame",
    "PointingGame",
    "SaliencyDrift",
    "energy_inside",
    "pointing_game",
    "saliency_drift",
]
