"""Small grids as YAML files, and the command that runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fullgrad_lightning.evaluation.roar.grid_state import CellState, GridState
from tests.evaluation.roar.planted import KILL

EPOCHS = 2


def options(output: Path, **changes: Any) -> dict[str, Any]:
    """A grid of a reference, an estimate and a masked cell, of some seconds each."""
    return {
        "output": str(output),
        "methods": {"random": {}},
        "fractions": [0.5],
        "seeds": [0],
        "data": {"class_path": "tests.evaluation.roar.planted.AugmentedShapes"},
        "model": {"class_path": "tests.evaluation.roar.planted.DropoutNet"},
        "trainer": {"max_epochs": EPOCHS, "accelerator": "cpu", "log_every_n_steps": 1},
        **changes,
    }


def write_config(output: Path, **changes: Any) -> Path:
    """The same as a file beside its output."""
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(options(output, **changes)))
    return path


def run(
    config: Path, *arguments: str, kill: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``fullgrad roar run`` in a process of its own.

    Args:
        config: Of the grid.
        arguments: More.
        kill: Lines for ``planted.kill_as_asked``.
        environment: Beside what there is.
    """
    asked = config.with_suffix(".kill")
    asked.write_text(kill)
    return subprocess.run(
        [sys.executable, "-m", "fullgrad_lightning.cli", "roar", "run", "--config", str(config),
         *arguments],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", KILL: str(asked), **(environment or {})},
    )  # fmt: skip


def states(output: Path) -> dict[str, str]:
    """State by method."""
    return {cell.method: cell.state for cell in GridState(output).cells()}


def results(output: Path) -> dict[str, dict[str, Any]]:
    """What the cells measured, by method."""
    return {cell.method: measured(cell) for cell in GridState(output).cells()}


def measured(cell: CellState) -> dict[str, Any]:
    """The part of a result that does not depend on the clock."""
    assert cell.result is not None, cell.failure
    kept = ("identity", "test_accuracy", "test_loss", "epochs", "label")
    return {key: cell.result[key] for key in kept}


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())
