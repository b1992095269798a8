"""Names of methods as headings."""

from __future__ import annotations

import pytest

from fullgrad_lightning.saliency.registry import saliency_methods
from fullgrad_lightning.visualization import display_name


def test_every_method_has_a_heading_of_its_own() -> None:
    names = [display_name(method) for method in saliency_methods()]
    assert len(set(names)) == len(names)
    assert all(name[0].isupper() and "_" not in name for name in names)


@pytest.mark.parametrize("heading", ["A heading of one's own", "MyCAM_2", "epoch 3", "Σ$x_2$", ""])
def test_headings_are_left_alone(heading: str) -> None:
    assert display_name(heading) == heading
