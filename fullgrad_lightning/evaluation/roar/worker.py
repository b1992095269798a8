"""The process of a job: its lock, its failure, and its end when its parent dies."""

from __future__ import annotations

import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fullgrad_lightning._version import __version__
from fullgrad_lightning.evaluation.roar.jobs import FAILURE, RESULT, write_json
from fullgrad_lightning.utilities.locks import FolderInUse, folder_lock

STARTED = "FULLGRAD_STARTED"
"""Environment variable: ``time.time()`` when the process was started."""
PARENT = "FULLGRAD_PARENT"
"""Environment variable: the id of the process without which this one ends."""
_LOCK_WAIT = 30.0  # seconds, for the processes of a killed job to end
_POLL_INTERVAL = 0.25  # seconds


def run_job(work: Callable[[Path, float], None], arguments: list[str]) -> int:
    """The main function of a job's process, whose one argument is the job's folder.

    ``work`` does the job, given the folder and the time at which the process was started.

    Returns:
        0; 1 after a failure, which is recorded in ``failure.json``; 2 if this process cannot run.
    """
    started = float(os.environ.pop(STARTED, time.time()))
    start_parent_watchdog()
    if len(arguments) != 1:
        print(f"expected one argument, the folder of a job, got {arguments}", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"  # on several devices, others get 1, 2, …
    try:
        with folder_lock(folder, wait=_LOCK_WAIT) if is_first else nullcontext():
            if is_first:
                (folder / FAILURE).unlink(missing_ok=True)
            return _attempt(work, folder, started, is_first)
    except FolderInUse as error:
        print(error, file=sys.stderr)
        return 2


def start_parent_watchdog() -> None:
    """Ends this process soon after the one in ``FULLGRAD_PARENT`` dies, by whatever signal.

    Linux' own signal for it (``PR_SET_PDEATHSIG``) is sent when the *thread* that started the child
    ends, and an executor's threads do. Instead, a thread polls the id of the parent. Call it before
    slow imports. Processes that this one starts (the other ranks of DDP) get this one as the parent
    to watch.
    """
    parent = os.environ.get(PARENT)
    if parent is not None:
        arguments = (int(parent),)
        threading.Thread(target=_watch, args=arguments, name="watchdog", daemon=True).start()
    os.environ[PARENT] = str(os.getpid())


def record_failure(folder: Path, text: str) -> None:
    """Writes ``failure.json`` with a traceback, or a description of the failure."""
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(folder / FAILURE, {"traceback": text, "when": when})


def write_result(folder: Path, job: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Writes ``result.json``: a job's label, its values, and the versions that they depend on."""
    versions = {
        "fullgrad_lightning": __version__,
        "pytorch_lightning": version("pytorch-lightning"),
        "torch": version("torch"),
        "python": platform.python_version(),
    }
    labels = {"label": job["label"], "identity": job["identity"]}
    write_json(folder / RESULT, {**labels, **values, "versions": versions})


def _attempt(
    work: Callable[[Path, float], None], folder: Path, started: float, is_first: bool
) -> int:
    parent = os.getppid()
    try:
        work(folder, started)
    except Exception:  # the end of the process: every failure is recorded for the user
        traceback.print_exc()
        # The first of several processes to fail has the cause; that the parent was killed is not
        # a failure of the job.
        if os.getppid() == parent and not (folder / FAILURE).is_file():
            record_failure(folder, traceback.format_exc())
        if not is_first:
            sys.stderr.flush()
            os._exit(1)  # without the others, taking the process group down can hang
        return 1
    return 0


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_INTERVAL)
    if os.getpgrp() == os.getpid():  # started by an executor: the group is this job and no more
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
