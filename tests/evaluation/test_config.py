"""Facts that stand in a module without torch and in one with it: they must agree."""

from __future__ import annotations

from fullgrad_lightning.datamodules.indexed_split import STAGES
from fullgrad_lightning.evaluation.config import SPLITS


def test_configurations_offer_the_splits_that_can_be_evaluated() -> None:
    assert tuple(STAGES) == SPLITS
