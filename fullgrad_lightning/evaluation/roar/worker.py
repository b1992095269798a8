"""What the process of a cell and that of an estimate have in common."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import fullgrad_lightning
from fullgrad_lightning.evaluation.roar.jobs import FAILURE
from fullgrad_lightning.evaluation.roar.parent_watchdog import start_parent_watchdog
from fullgrad_lightning.utilities.files import atomic_write
from fullgrad_lightning.utilities.locks import FolderInUse, folder_lock

STARTED = "FULLGRAD_STARTED"
"""Environment variable: ``time.time()`` when the process was started."""
WAIT = 30.0
"""Seconds to wait for the processes of a killed job to end."""


def run_job(work: Callable[[Path, float], None], arguments: list[str]) -> int:
    """The main function of a job's process.

    Args:
        work: Does it, given the job's folder and when the process was started.
        arguments: The folder.

    Returns:
        0; 1 after a failure, which is recorded in ``failure.json``; 2 if this process cannot run.
    """
    started = float(os.environ.pop(STARTED, time.time()))
    start_parent_watchdog()
    if len(arguments) != 1:
        print(f"expected one argument, the folder of a job, got {arguments}", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    first = os.environ.get("LOCAL_RANK", "0") == "0"  # of several devices, the others get 1, 2, …
    try:
        with folder_lock(folder, wait=WAIT) if first else nullcontext():
            if first:
                (folder / FAILURE).unlink(missing_ok=True)
            return _attempt(work, folder, started, first)
    except FolderInUse as error:
        print(error, file=sys.stderr)
        return 2


def _attempt(work: Callable[[Path, float], None], folder: Path, started: float, first: bool) -> int:
    parent = os.getppid()
    try:
        work(folder, started)
    except Exception:  # the end of the process: whatever it was is kept for the user
        traceback.print_exc()
        # Of several processes the first to fail knows why; that the first was killed is no failure.
        if os.getppid() == parent and not (folder / FAILURE).is_file():
            record_failure(folder, traceback.format_exc())
        if not first:
            sys.stderr.flush()
            os._exit(1)  # without the others, taking the process group down can hang
        return 1
    return 0


def record_failure(folder: Path, text: str) -> None:
    """Writes ``failure.json``.

    Args:
        folder: Of the job.
        text: The traceback, or what is known instead.
    """
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    content = json.dumps({"traceback": text, "when": when}, indent=2)
    atomic_write(folder / FAILURE, content + "\n")


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "fullgrad_lightning": fullgrad_lightning.__version__,
        "pytorch_lightning": version("pytorch-lightning"),
        "torch": version("torch"),
        "python": platform.python_version(),
    }
