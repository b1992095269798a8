"""The functions that the metrics average: one number, or one curve, per sample."""

from fullgrad_lightning.metrics.functional.debiasing import road
from fullgrad_lightning.metrics.functional.drift import saliency_drift
from fullgrad_lightning.metrics.functional.flipping import class_flipping
from fullgrad_lightning.metrics.functional.insertion import insertion_deletion
from fullgrad_lightning.metrics.functional.localization import energy_inside, pointing_game
from fullgrad_lightning.metrics.functional.perturbation import pixel_perturbation

__all__ = [
    "class_flipping",
    "energy_inside",
    "insertion_deletion",
    "pixel_perturbation",
    "pointing_game",
    "road",
    "saliency_drift",
]
