"""The grids in examples/: every class and option exists, and the head has the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from fullgrad_lightning.evaluation.components import instantiate_components
from fullgrad_lightning.evaluation.roar.planning import plan_jobs
from fullgrad_lightning.evaluation.roar.resolution import load_grid
from fullgrad_lightning.saliency.registry import saliency_method

EXAMPLES = Path(__file__).parents[3] / "examples"
CELLS = {"roar_cifar100": 3 + 6 * 5 * 3, "roar_fashion_mnist": 3 + (2 * 3 + 5) * 5}


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("roar_*.yaml")))
def test_an_example(name: str, tmp_path: Path) -> None:
    path = EXAMPLES / f"{name}.yaml"
    assert f"fullgrad roar run --config examples/{path.name}" in path.read_text()
    grid = load_grid(path, output=tmp_path)
    instantiate_components(grid.data, grid.model, grid.trainer)
    for spec in grid.specs:
        saliency_method(spec.method, **spec.options)
    assert sum(job.is_cell for job in plan_jobs(grid)) == CELLS[name]
