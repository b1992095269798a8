"""Sanity checks of saliency methods: whether maps notice that the network forgets."""

from fullgrad_lightning.judging.sanity.cascade import Cascade, reinitialize
from fullgrad_lightning.judging.sanity.check import check_randomization
from fullgrad_lightning.judging.sanity.curves import SanityCurves
from fullgrad_lightning.judging.sanity.layers import layers_from_output
from fullgrad_lightning.judging.sanity.report import write_sanity_report
from fullgrad_lightning.judging.sanity.similarity import similarities

__all__ = [
    "Cascade",
    "SanityCurves",
    "check_randomization",
    "layers_from_output",
    "reinitialize",
    "similarities",
    "write_sanity_report",
]
