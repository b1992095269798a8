"""One grid that nobody interrupted, for all tests that look at one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fullgrad_lightning.utilities.locks import folder_lock
from tests.evaluation.roar import grids


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its output. Do not change what is in it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # workers run it once for all
        shared = shared.parent
    output = shared / "uninterrupted" / "grid"
    with folder_lock(output.parent, wait=300):
        if not (output / "report" / "results.csv").is_file():
            launcher = {"LOCAL_RANK": "1", "WORLD_SIZE": "7", "PL_GLOBAL_SEED": "9"}
            done = grids.run(grids.write_config(output), environment=launcher)
            assert done.returncode == 0, done.stdout + done.stderr
    return output
