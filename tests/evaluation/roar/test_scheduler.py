"""What is submitted, in which order, and what becomes of failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from fullgrad_lightning.cli import main
from fullgrad_lightning.evaluation.roar.config import GridConfig, ResolvedGrid
from fullgrad_lightning.evaluation.roar.executors import JobFailed
from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.evaluation.roar.jobs import RESULT, Job
from fullgrad_lightning.evaluation.roar.resolution import resolve_grid
from fullgrad_lightning.evaluation.roar.scheduler import run_grid
from fullgrad_lightning.utilities.locks import folder_lock
from tests.evaluation.roar import grids


class AtOnce:
    """Answers at once: a result for each job, but for those that fail.

    Args:
        failing: Beginnings of their names.
        then: Called before each job.
    """

    def __init__(
        self, failing: Collection[str] = (), then: Callable[[Job], None] = lambda job: None
    ) -> None:
        self.failing, self.then = tuple(failing), then
        self.submitted: list[str] = []
        self.stopped = False

    def submit(self, job: Job) -> Future[None]:
        self.then(job)
        assert all((need / RESULT).is_file() for need in job.depends_on)
        assert (job.folder / ("cell.json" if job.is_cell else "job.json")).is_file()
        self.submitted.append(job.name.rsplit("_", 1)[0])
        future: Future[None] = Future()
        if job.name.startswith(self.failing or "\0"):
            future.set_exception(JobFailed(f"{job.name} ended with signal 9."))
        else:
            (job.folder / RESULT).write_text(json.dumps({"test_accuracy": 0.5}))
            future.set_result(None)
        return future

    def stop(self) -> None:
        self.stopped = True


def small(output: Path, **changes: Any) -> ResolvedGrid:
    options = {"methods": {"random": {}, "sobel": {}}, "seeds": [0, 1], **changes}
    data = {**grids.options(output)["data"], "init_args": {"num_workers": 0}}
    return resolve_grid(GridConfig(**grids.options(output, data=data, **options)))


def test_references_then_maps_then_cells(tmp_path: Path) -> None:
    executor = AtOnce()
    assert run_grid(small(tmp_path / "grid"), executor=executor)
    assert executor.submitted == [
        "reference_s0", "reference_s1", "random_s0", "random_s1", "sobel_s0", "sobel_s1",
        "random_0.5_s0", "random_0.5_s1", "sobel_0.5_s0", "sobel_0.5_s1",
    ]  # fmt: skip
    assert executor.stopped
    assert {cell.state for cell in GridState(tmp_path / "grid").cells()} == {"done"}


def test_again_does_nothing_and_a_larger_grid_what_is_new(tmp_path: Path) -> None:
    output = tmp_path / "grid"
    run_grid(small(output), executor=AtOnce())
    again = AtOnce()
    assert run_grid(resolve_grid(small(output)), executor=again), "defaults written out or not"
    assert again.submitted == []
    larger = AtOnce()
    assert run_grid(small(output, fractions=[0.1, 0.5], seeds=[0]), executor=larger)
    assert larger.submitted == ["random_0.1_s0", "sobel_0.1_s0"]
    assert {cell.seed for cell in GridState(output).cells()} == {0}, "others stay, not reported"
    assert list((output / "cells").glob("random_0.5_s1_*"))


def test_a_failure_stops_what_hangs_on_it_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "grid"
    executor = AtOnce(["reference_s1", "random_s0", "sobel_0.5_s0"])
    assert not run_grid(small(output), executor=executor)
    assert executor.submitted == [
        "reference_s0", "reference_s1", "random_s0", "sobel_s0", "sobel_0.5_s0"
    ]  # fmt: skip
    failures = {(c.method, c.seed): c.failure for c in GridState(output).cells() if c.failure}
    assert "ended with signal 9" in failures["reference", 1]
    assert "random_s0_" in failures["random", 0] and "depends, failed" in failures["random", 0]
    assert "random_s1_" in failures["random", 1]
    assert "ended with signal 9" in failures["sobel", 0]
    assert failures.keys() == {
        ("reference", 1), ("random", 0), ("random", 1), ("sobel", 0), ("sobel", 1)
    }  # fmt: skip
    assert "failed: sobel_0.5_s0" in capsys.readouterr().err

    again = AtOnce()
    assert run_grid(small(output), executor=again), "what failed is tried again"
    assert "reference_s0" not in again.submitted and "reference_s1" in again.submitted
    assert not list(output.rglob("failure.json"))


def test_a_job_that_ends_well_without_a_result_failed(tmp_path: Path) -> None:
    class Forgetful(AtOnce):
        def submit(self, job: Job) -> Future[None]:
            future = super().submit(job)
            (job.folder / RESULT).unlink()
            return future

    assert not run_grid(small(tmp_path / "grid"), executor=Forgetful())
    (reference, *_) = GridState(tmp_path / "grid").cells()
    assert reference.failure is not None and "without a result" in reference.failure


def test_an_interrupt_stops_the_executor(tmp_path: Path) -> None:
    def interrupt(job: Job) -> None:
        if not job.is_cell:
            raise KeyboardInterrupt

    executor = AtOnce(then=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_grid(small(tmp_path / "grid"), executor=executor)
    assert executor.stopped
    assert run_grid(small(tmp_path / "grid"), executor=AtOnce())


def test_a_second_driver_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "grid"
    config = grids.write_config(output)
    with folder_lock(output):
        assert main(["roar", "run", "--config", str(config)]) == 2
    assert "in use by process" in capsys.readouterr().err
    assert not (output / "grid.json").exists()
