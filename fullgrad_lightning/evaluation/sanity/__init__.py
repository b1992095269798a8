"""Sanity checks of saliency methods: whether maps notice that the network forgets."""

from fullgrad_lightning.evaluation.sanity.cascading_randomization import (
    CascadingRandomization,
    reinitialize,
)
from fullgrad_lightning.evaluation.sanity.layer_order import layers_from_output
from fullgrad_lightning.evaluation.sanity.randomization_test import check_randomization
from fullgrad_lightning.evaluation.sanity.report import write_sanity_report
from fullgrad_lightning.evaluation.sanity.results import SanityCurves
from fullgrad_lightning.evaluation.sanity.similarity import similarities

__all__ = [
    "CascadingRandomization",
    "SanityCurves",
    "check_randomization",
    "layers_from_output",
    "reinitialize",
    "similarities",
    "write_sanity_report",
]
