"""Runs a grid: what can run is submitted, what is done is skipped, what fails is recorded."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lightning_fabric.utilities.exceptions import MisconfigurationException
from tqdm import tqdm

from fullgrad_lightning.evaluation.roar.components import as_config, resolve
from fullgrad_lightning.evaluation.roar.config import ConfigError, GridConfig
from fullgrad_lightning.evaluation.roar.executors import (
    Executor,
    LocalExecutor,
    worker_environments,
)
from fullgrad_lightning.evaluation.roar.jobs import FAILURE, LOG, Job
from fullgrad_lightning.evaluation.roar.planning import plan_jobs
from fullgrad_lightning.evaluation.roar.preflight import check
from fullgrad_lightning.evaluation.roar.worker import record_failure
from fullgrad_lightning.utilities.files import atomic_write
from fullgrad_lightning.utilities.locks import folder_lock

_LOG_SHOWN = 4000  # bytes


def run_grid(
    grid: GridConfig, *, jobs: int | None = None, executor: Executor | None = None
) -> bool:
    """Does what is not done yet of a grid. The folder can be used again, after a kill too.

    Args:
        grid: What to run; defaults are written out first, so that they make no other cells.
        jobs: Processes at a time on this machine; default: one for each GPU, or one.
        executor: Where to run instead.

    Returns:
        Whether all went well; what did not is in the ledger, and is tried again the next time.

    Raises:
        FolderInUse: Another driver runs in the same folder.
        ConfigError: What is wrong with it; nothing was started.
    """
    grid = resolve(grid)
    output = Path(grid.output)
    with ExitStack() as held:
        try:
            held.enter_context(
                folder_lock(output, wait=1.0)
            )  # a second, for someone who only looks
        except OSError as error:
            raise ConfigError(
                f"Cannot write to the output, {output}: {error}. Choose another."
            ) from error
        planned = _checked(grid)
        _write(grid, output, planned)
        chosen = executor or LocalExecutor(_environments(grid, jobs))
        with _terminated_as_interrupted():
            try:
                return _run(planned, chosen)
            finally:
                chosen.stop()


def _checked(grid: GridConfig) -> list[Job]:
    try:
        planned = plan_jobs(grid)
        print(check(grid, planned), flush=True)
    # What a user's own data and model raise when they do not fit; a bug in them raises others.
    except (ValueError, TypeError, RuntimeError, OSError, MisconfigurationException) as error:
        raise ConfigError(f"{type(error).__name__}: {error}") from error
    return planned


def _write(grid: GridConfig, output: Path, planned: Sequence[Job]) -> None:
    for job in planned:
        job.write()
    content = {
        "config": as_config(grid),
        "cells": [job.name for job in planned if job.is_cell],
        "maps": [job.name for job in planned if not job.is_cell],
    }
    atomic_write(output / "grid.json", json.dumps(content, indent=2) + "\n")


def _run(planned: Sequence[Job], executor: Executor) -> bool:
    waiting = {job.folder: job for job in planned if not job.done}
    failed: set[Path] = set()
    running: dict[Future[None], Job] = {}
    with tqdm(total=len(planned), initial=len(planned) - len(waiting), smoothing=0) as bar:
        for job in waiting.values():
            (job.folder / FAILURE).unlink(missing_ok=True)
        while waiting or running:
            for job in _ready(waiting, running, failed):
                del waiting[job.folder]
                cause = next((need for need in job.needs if need in failed), None)
                if cause is None:
                    running[executor.submit(job)] = job
                else:
                    record_failure(job.folder, f"{cause.name}, which it needs, failed.")
                    failed.add(job.folder)
                    bar.update()
            # Never empty while some wait: needs are jobs of the grid, and those come first.
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                job = running.pop(future)
                if (message := _failure(job, future)) is not None:
                    failed.add(job.folder)
                    text = f"failed: {job.name}: {message}\n  {job.folder / LOG}"
                    bar.write(text, file=sys.stderr)
                bar.update()
    return not failed


def _ready(
    waiting: dict[Path, Job], running: dict[Future[None], Job], failed: set[Path]
) -> list[Job]:
    """Those whose needs are done, or cannot be done any more."""
    unfinished = {*waiting, *(job.folder for job in running.values())}
    return [
        job
        for job in waiting.values()
        if failed.intersection(job.needs) or not unfinished.intersection(job.needs)
    ]


def _failure(job: Job, future: Future[None]) -> str | None:
    """How the job failed, in a line; keeps what the job could not keep itself."""
    error = future.exception()
    if error is None and job.done:
        return None
    path = job.folder / FAILURE
    if not path.is_file():
        how = str(error) if error is not None else f"{job.name} ended without a result."
        record_failure(job.folder, f"{_end_of_log(job.folder)}\n{how}")
    text: str = json.loads(path.read_text(encoding="utf-8"))["traceback"]
    return text.strip().splitlines()[-1]


def _end_of_log(folder: Path) -> str:
    try:
        return (folder / LOG).read_bytes()[-_LOG_SHOWN:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def _environments(grid: GridConfig, jobs: int | None) -> list[dict[str, str]]:
    gpus = _gpus() if grid.trainer.get("accelerator", "auto") in ("auto", "gpu", "cuda") else []
    jobs = jobs or max(1, len(gpus))
    devices = grid.trainer.get("devices", 1)
    if isinstance(devices, list):
        processes = len(devices)
    elif str(devices).isdigit():
        processes = int(devices)
    else:  # "auto" or -1: all it can have
        processes = max(1, len(gpus) // jobs)
    return worker_environments(jobs, gpus=gpus, processes=processes)


def _gpus() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    number = torch.cuda.device_count()
    return visible.split(",")[:number] if visible else [str(i) for i in range(number)]


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does, where signals can be had: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
