"""A driver and a cell are killed at fixed points: the table is that of a grid left alone."""

from __future__ import annotations

from pathlib import Path

import torch

from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.evaluation.roar.jobs import CELLS
from fullgrad_lightning.utilities.locks import owner
from tests.evaluation.roar import grids
from tests.evaluation.roar.processes import assert_gone


def test_a_driver_and_a_cell_are_killed_and_the_table_is_the_same(
    tmp_path: Path, uninterrupted: Path
) -> None:
    output = tmp_path / "grid"
    config = grids.write_config(output)

    # Within the reference's second epoch.
    assert grids.run(config, kill="driver reference 1 2").returncode == -9
    reference, cell = GridState(output).cells()
    assert_gone(owner(reference.folder), seconds=5)
    assert grids.states(output) == {"reference": "interrupted", "random": "waiting"}

    # Between the epochs of the masked cell; its driver lives, and tells.
    done = grids.run(config, kill="cell random 1 0")
    assert done.returncode == 1
    assert "random_0.5_s0" in done.stderr and "signal 9" in done.stderr
    assert grids.states(output) == {"reference": "done", "random": "failed"}

    for interrupted in (reference, cell):
        assert (interrupted.folder / "last.ckpt").is_file()
    assert grids.run(config).returncode == 0
    for interrupted in (reference, cell):
        assert "Restored all states" in (interrupted.folder / "log.txt").read_text()
    assert grids.results(output) == grids.results(uninterrupted)
    names = {path.name for path in (output / CELLS).iterdir()}
    assert names == {path.name for path in (uninterrupted / CELLS).iterdir()}
    one, two = (
        torch.load(folder / CELLS / reference.folder.name / "last.ckpt", weights_only=True)
        for folder in (output, uninterrupted)
    )
    torch.testing.assert_close(one["state_dict"], two["state_dict"], rtol=0, atol=0)
