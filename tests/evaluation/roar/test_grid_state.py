"""The state of each cell, from its folder alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.evaluation.roar.jobs import FAILURE, RESULT, Job
from fullgrad_lightning.evaluation.roar.worker import record_failure
from fullgrad_lightning.utilities.locks import folder_lock

METHODS = ("reference", "finished", "broken", "retried", "stopped", "untouched")


@pytest.fixture
def ledger(tmp_path: Path) -> GridState:
    names = []
    for method in METHODS:
        label = {"method": method, "fraction": 0.5, "seed": 3}
        job = Job(tmp_path / "cells" / f"{method}_0.5_s3_0", {"label": label})
        job.write()
        names.append(job.name)
    Job(tmp_path / "cells" / "earlier_0.5_s3_0", {"label": label}).write()
    maps = Job(tmp_path / "maps" / "random_s3_0", {"label": {"method": "random", "seed": 3}})
    maps.write()
    (tmp_path / "grid.json").write_text(
        json.dumps({"config": {"seeds": [3]}, "cells": names, "maps": [maps.name]})
    )
    return GridState(tmp_path)


def test_states(ledger: GridState) -> None:
    folders = {cell.method: cell.folder for cell in ledger.cells()}
    assert tuple(folders) == METHODS
    for method in METHODS[1:5]:
        with folder_lock(folders[method]):
            pass
    (folders["finished"] / RESULT).write_text('{"test_accuracy": 0.25}')
    record_failure(folders["broken"], "Traceback:\nValueError: planted")
    record_failure(folders["retried"], "ValueError: the time before")
    with folder_lock(folders["retried"]), folder_lock(folders["reference"]):
        found = {cell.method: cell for cell in ledger.cells()}
    assert {method: cell.state for method, cell in found.items()} == {
        "reference": "running", "finished": "done", "broken": "failed", "retried": "running",
        "stopped": "interrupted", "untouched": "waiting",
    }  # fmt: skip
    assert found["finished"].result == {"test_accuracy": 0.25}
    assert found["broken"].failure == "Traceback:\nValueError: planted"
    assert found["untouched"].result is None and found["untouched"].failure is None
    assert (found["broken"].fraction, found["broken"].seed) == (0.5, 3)
    assert ledger.maps() == {"random_s3_0": "waiting"}
    assert ledger.config == {"seeds": [3]}


def test_the_table(ledger: GridState) -> None:
    broken = next(cell.folder for cell in ledger.cells() if cell.method == "broken")
    record_failure(broken, "Traceback:\nValueError: planted")
    shown = ledger.table()
    assert "6 cells, 1 failed, 5 waiting" in shown
    assert ["broken", "!"] in [line.split() for line in shown.splitlines()]
    assert "broken_0.5_s3_0 failed: ValueError: planted" in shown and FAILURE in shown
    assert "maps: 0 of 1 done" in shown and "random_s3_0: waiting" in shown
    assert "earlier" not in shown


def test_a_description_that_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "cells" / "a"
    Job(folder, {"label": 1}).write()
    before = (folder / "cell.json").stat().st_mtime_ns
    Job(folder, {"label": 1}).write()
    assert (folder / "cell.json").stat().st_mtime_ns == before
