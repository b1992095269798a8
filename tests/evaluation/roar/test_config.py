"""Grids that are refused as they are made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fullgrad_lightning.evaluation.config import ConfigError
from tests.evaluation.roar.test_planning import grid


def test_a_grid_is_made_without_torch() -> None:
    code = (
        "import sys; from fullgrad_lightning.evaluation.roar.config import GridConfig; "
        "GridConfig(methods={'random': {}}, data={}, model={}, trainer={'max_epochs': 1}); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fractions": [0.0, 0.5]}, "fractions must be > 0"),
        ({"fractions": [1.5]}, "got 1.5"),
        ({"fractions": [0.5, 0.5]}, "distinct"),
        ({"seeds": [0, 0]}, "seeds must be distinct"),
        ({"seeds": []}, "at least one"),
        ({"methods": {}}, "methods is empty"),
        ({"methods": {"reference": {}}}, "not a valid name"),
        ({"methods": {"a/b": {}}}, "not a valid name"),
        ({"methods": {"random": {"n_samples": 3}}}, "no key 'n_samples'.*under options"),
        ({"methods": {"random": {"seeds": "all"}}}, "methods.random.seeds"),
        ({"methods": {"mine": {"store": "maps", "method": "random"}}}, "takes no method"),
        ({"order": "most"}, "order must be one of"),
        ({"fill": "zero"}, "fill must be one of"),
        ({"target": "top"}, "target must be"),
        ({"target": -1}, "target must be .* a class index ≥ 0, got -1"),
        ({"target": True}, "target must be .* got True"),
        ({"methods": {"random": 3}}, "methods.random"),
        ({"methods": {"random": {"options": 3}}}, "methods.random.options"),
        ({"methods": {"mine": {"mask_only": "yes"}}}, "mask_only must be true or false"),
        ({"fractions": [True]}, "fractions must be a share"),
        ({"methods": {1: {}}}, "methods: 1 is not a valid name"),
        ({"trainer": {}}, "max_epochs is missing"),
        ({"trainer": {"max_epochs": 1, "logger": False}}, "trainer.logger cannot be set"),
        ({"trainer": {"max_epochs": 1, "max_steps": 5}}, "use max_epochs"),
    ],
)
def test_wrong_grids(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        grid(tmp_path, **changes)
