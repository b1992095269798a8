"""Processes of jobs: what they find, what they leave, how they are ended."""

from __future__ import annotations

import json
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from fullgrad_lightning.evaluation.roar import executors
from fullgrad_lightning.evaluation.roar.executors import (
    JobFailed,
    LocalExecutor,
    worker_environments,
)
from fullgrad_lightning.evaluation.roar.jobs import FAILURE, LOG, Job


class Script(Job):
    """A job that runs a module of the tests instead."""

    module = "tests.evaluation.roar.job_script"  # type: ignore[assignment]


def script(folder: Path, does: str) -> Script:
    folder.mkdir(parents=True)
    (folder / "does").write_text(does)
    return Script(folder, {})


def test_the_environment_is_a_job_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = {
        "LOCAL_RANK": "1", "RANK": "1", "NODE_RANK": "0", "GROUP_RANK": "0", "WORLD_SIZE": "2",
        "MASTER_ADDR": "somewhere", "MASTER_PORT": "1", "SLURM_JOB_ID": "7", "SLURM_NTASKS": "2",
        "PL_GLOBAL_SEED": "3", "TORCHELASTIC_RUN_ID": "x",
    }  # fmt: skip
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KEPT", "yes")
    executor = LocalExecutor([{"CUDA_VISIBLE_DEVICES": "3", "OMP_NUM_THREADS": "5"}])
    executor.submit(script(tmp_path / "job", "environment")).result(30)
    executor.stop()
    found = json.loads((tmp_path / "job" / "environment.json").read_text())
    assert not found["environment"].keys() & inherited.keys()
    assert found["environment"]["KEPT"] == "yes"
    assert found["environment"]["CUDA_VISIBLE_DEVICES"] == "3"
    assert found["environment"]["OMP_NUM_THREADS"] == "5"
    assert found["session"] == found["process"], "Ctrl-C in a terminal does not reach it"
    assert (tmp_path / "job" / LOG).read_text() == "printed\nand an error\n"


def test_a_job_that_fails(tmp_path: Path) -> None:
    executor = LocalExecutor([{}])
    missing = tmp_path / "cells" / "missing"
    missing.mkdir(parents=True)
    with pytest.raises(JobFailed, match="missing ended with status 1"):
        executor.submit(Job(missing, {})).result(30)
    traceback = json.loads((missing / FAILURE).read_text())["traceback"]
    assert "FileNotFoundError" in traceback and "is not a job's folder" in traceback
    with pytest.raises(JobFailed, match="ended with signal 9"):
        executor.submit(script(tmp_path / "killed", "kill")).result(30)
    executor.stop()


def test_as_many_at_once_as_there_are_shares(tmp_path: Path) -> None:
    executor = LocalExecutor([{"SHARE": "a"}, {"SHARE": "b"}])
    futures = [executor.submit(script(tmp_path / str(i), "share")) for i in range(4)]
    for future in futures:
        future.result(30)
    executor.stop()
    spans = sorted(
        tuple(json.loads((tmp_path / str(i) / "span.json").read_text())) for i in range(4)
    )
    for share in "ab":
        own = [(begin, end) for begin, end, name in spans if name == share]
        assert own and all(end <= begin for (_, end), (begin, _) in pairwise(own))


def test_stop_asks_first_and_then_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "TERMINATE_TIMEOUT", 1.0)
    executor = LocalExecutor([{}, {}])
    polite = executor.submit(script(tmp_path / "polite", "end when asked"))
    stubborn = executor.submit(script(tmp_path / "stubborn", "never end"))
    never = executor.submit(script(tmp_path / "never", "environment"))
    while not all((tmp_path / name / "ready").exists() for name in ("polite", "stubborn")):
        time.sleep(0.02)
    begin = time.monotonic()
    executor.stop()
    assert time.monotonic() - begin < 3
    assert (tmp_path / "polite" / "asked").exists()
    assert isinstance(polite.exception(), JobFailed)
    assert "signal 9" in str(stubborn.exception())
    assert never.cancelled()
    assert not [t for t in threading.enumerate() if t.name.startswith("job")]


def test_cores_are_split_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(12))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def threads(*arguments: int) -> list[str]:
        jobs, processes = arguments
        return [
            share["OMP_NUM_THREADS"]
            for share in worker_environments(jobs, gpus=[], processes=processes)
        ]

    assert threads(3, 1) == ["4"] * 3
    assert threads(3, 2) == ["2"] * 3
    assert threads(20, 1) == ["1"] * 20
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert threads(3, 1) == ["2"] * 3


def test_gpus_are_dealt_out() -> None:
    def dealt(jobs: int, gpus: str, processes: int = 1) -> list[str]:
        found = worker_environments(jobs, gpus=gpus.split(), processes=processes)
        return [share["CUDA_VISIBLE_DEVICES"] for share in found]

    assert dealt(2, "4 5") == ["4", "5"]
    assert dealt(5, "4 5") == ["4", "5", "4", "5", "4"], "several share a card"
    assert dealt(2, "0 1 2 3", 2) == ["0,1", "2,3"]
    assert dealt(2, "") == ["", ""]
    with pytest.raises(ValueError, match="devices is 3, but there are 2"):
        dealt(1, "0 1", 3)
