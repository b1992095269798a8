"""Places of names beside curves."""

from __future__ import annotations

import numpy as np
import pytest

from fullgrad_lightning.evaluation.reports.figures import space_apart


def test_labels_keep_order_gap_and_what_is_far_apart() -> None:
    assert space_apart([0.2, 0.5, 0.9], 0.1) == pytest.approx([0.2, 0.5, 0.9])
    assert space_apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert space_apart([0.99, 1.0], 0.1) == pytest.approx([0.9, 1.0])
    assert space_apart([0.3] * 21, 0.1) == pytest.approx(np.linspace(0, 1, 21))
    assert space_apart([0.7], 0.1) == [0.7]
