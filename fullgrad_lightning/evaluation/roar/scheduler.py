"""Runs the jobs of a grid: submits those that can run, skips finished ones, records failures."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from tqdm import tqdm

from fullgrad_lightning.evaluation.config import ConfigError
from fullgrad_lightning.evaluation.roar.config import ResolvedGrid
from fullgrad_lightning.evaluation.roar.executors import (
    Executor,
    LocalExecutor,
    worker_environments,
)
from fullgrad_lightning.evaluation.roar.jobs import FAILURE, GRID, LOG, Job, write_json
from fullgrad_lightning.evaluation.roar.planning import plan_jobs
from fullgrad_lightning.evaluation.roar.preflight import preflight
from fullgrad_lightning.evaluation.roar.worker import record_failure
from fullgrad_lightning.utilities.locks import folder_lock

_LOCK_WAIT = 1.0  # seconds, for a process that only checks the lock
_LOG_TAIL = 4000  # bytes


def run_grid(
    grid: ResolvedGrid, *, jobs: int | None = None, executor: Executor | None = None
) -> bool:
    """Runs the jobs of a grid that are not done. Run it again to resume, after a kill too.

    Args:
        grid: The grid, see ``resolve_grid``.
        jobs: Number of concurrent processes on this machine; default: one for each GPU, or one.
        executor: Runs the jobs instead.

    Returns:
        True if all jobs succeeded. Failures are recorded in their folders, and tried again the
        next time.

    Raises:
        FolderInUse: Another process runs a grid in the same folder.
        ConfigError: The grid is wrong; nothing has been started.
    """
    output = Path(grid.output)
    with ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(output, wait=_LOCK_WAIT))
        except OSError as error:
            raise ConfigError(
                f"Cannot write to the output, {output}: {error}. Choose another."
            ) from error
        planned = _plan_and_check(grid)
        _write_grid(grid, planned)
        executor = executor or LocalExecutor(_environments(grid, jobs))
        with _sigterm_as_interrupt():
            try:
                return _run_jobs(planned, executor)
            finally:
                executor.stop()


def _plan_and_check(grid: ResolvedGrid) -> list[Job]:
    try:
        planned = plan_jobs(grid)
        print(preflight(grid, planned), flush=True)
    except ConfigError:
        raise
    # A user's data and model raise these if they do not fit; a bug in them raises others.
    except (ValueError, TypeError, RuntimeError, OSError, MisconfigurationException) as error:
        raise ConfigError(f"{type(error).__name__}: {error}") from error
    return planned


def _write_grid(grid: ResolvedGrid, planned: Sequence[Job]) -> None:
    for job in planned:
        job.write()
    content = {
        "config": asdict(grid),
        "cells": [job.name for job in planned if job.is_cell],
        "maps": [job.name for job in planned if not job.is_cell],
    }
    write_json(Path(grid.output) / GRID, content)


def _run_jobs(planned: Sequence[Job], executor: Executor) -> bool:
    waiting = {job.folder: job for job in planned if not job.is_done}
    failed: set[Path] = set()
    running: dict[Future[None], Job] = {}
    with tqdm(total=len(planned), initial=len(planned) - len(waiting), smoothing=0) as bar:
        for job in waiting.values():
            (job.folder / FAILURE).unlink(missing_ok=True)
        while waiting or running:
            for job in _ready_jobs(waiting, running, failed):
                del waiting[job.folder]
                cause = next((folder for folder in job.depends_on if folder in failed), None)
                if cause is None:
                    running[executor.submit(job)] = job
                else:
                    record_failure(job.folder, f"{cause.name}, on which it depends, failed.")
                    failed.add(job.folder)
                    bar.update()
            # Never empty while jobs wait: these depend on jobs of the grid, which come first.
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                job = running.pop(future)
                if (message := _failure_message(job, future)) is not None:
                    failed.add(job.folder)
                    text = f"failed: {job.name}: {message}\n  {job.folder / LOG}"
                    bar.write(text, file=sys.stderr)
                bar.update()
    return not failed


def _ready_jobs(
    waiting: dict[Path, Job], running: dict[Future[None], Job], failed: set[Path]
) -> list[Job]:
    """The jobs whose dependencies are done, or have failed."""
    unfinished = {*waiting, *(job.folder for job in running.values())}
    return [
        job
        for job in waiting.values()
        if failed.intersection(job.depends_on) or not unfinished.intersection(job.depends_on)
    ]


def _failure_message(job: Job, future: Future[None]) -> str | None:
    """One line about a failed job; records a failure that the job could not record itself."""
    error = future.exception()
    if error is None and job.is_done:
        return None
    path = job.folder / FAILURE
    if not path.is_file():
        reason = str(error) if error is not None else f"{job.name} ended without a result."
        record_failure(job.folder, f"{_log_tail(job.folder)}\n{reason}")
    text: str = json.loads(path.read_text(encoding="utf-8"))["traceback"]
    return text.strip().splitlines()[-1]


def _log_tail(folder: Path) -> str:
    try:
        return (folder / LOG).read_bytes()[-_LOG_TAIL:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def _environments(grid: ResolvedGrid, jobs: int | None) -> list[dict[str, str]]:
    gpus = _gpus() if grid.trainer.get("accelerator", "auto") in ("auto", "gpu", "cuda") else []
    jobs = jobs or max(1, len(gpus))
    devices = grid.trainer.get("devices", 1)
    if isinstance(devices, list):
        processes = len(devices)
    elif str(devices).isdigit():
        processes = int(devices)
    else:  # "auto" or -1: all that are available
        processes = max(1, len(gpus) // jobs)
    return worker_environments(jobs, gpus=gpus, processes=processes)


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    number = torch.cuda.device_count()
    return visible.split(",")[:number] if visible else [str(i) for i in range(number)]


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Makes SIGTERM raise ``KeyboardInterrupt``; in the main thread, where signals are handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
