"""Functions that return one number, or one curve, per sample; the metrics average them."""

from fullgrad_lightning.metrics.functional.class_flipping import class_flipping
from fullgrad_lightning.metrics.functional.insertion_deletion import insertion_deletion
from fullgrad_lightning.metrics.functional.localization import energy_inside, pointing_game
from fullgrad_lightning.metrics.functional.pixel_perturbation import pixel_perturbation
from fullgrad_lightning.metrics.functional.road import road
from fullgrad_lightning.metrics.functional.saliency_drift import saliency_drift

__all__ = [
    "class_flipping",
    "energy_inside",
    "insertion_deletion",
    "pixel_perturbation",
    "pointing_game",
    "road",
    "saliency_drift",
]
