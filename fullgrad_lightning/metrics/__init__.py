"""Metrics of saliency maps: completeness, drift, localisation and faithfulness."""

from fullgrad_lightning.metrics.class_flipping import ClassFlipping
from fullgrad_lightning.metrics.completeness import CompletenessResidual
from fullgrad_lightning.metrics.insertion_deletion import InsertionDeletion
from fullgrad_lightning.metrics.localization import EnergyPointingGame, PointingGame
from fullgrad_lightning.metrics.pixel_perturbation import PixelPerturbation
from fullgrad_lightning.metrics.road import ROAD
from fullgrad_lightning.metrics.saliency_drift import SaliencyDrift

# Last, because modules of the same names would otherwise shadow the functions.
# isort: split
from fullgrad_lightning.metrics.functional import (
    class_flipping,
    energy_inside,
    insertion_deletion,
    pixel_perturbation,
    pointing_game,
    road,
    saliency_drift,
)

__all__ = [
    "ROAD",
    "ClassFlipping",
    "CompletenessResidual",
    "EnergyPointingGame",
    "InsertionDeletion",
    "PixelPerturbation",
    "PointingGame",
    "SaliencyDrift",
    "class_flipping",
    "energy_inside",
    "insertion_deletion",
    "pixel_perturbation",
    "pointing_game",
    "road",
    "saliency_drift",
]
