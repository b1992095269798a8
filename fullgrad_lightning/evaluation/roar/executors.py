"""Where jobs run. A cluster is another class with the same two methods."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from fullgrad_lightning.evaluation.roar.jobs import LOG, Job
from fullgrad_lightning.evaluation.roar.parent_watchdog import PARENT
from fullgrad_lightning.evaluation.roar.worker import STARTED

GRACE = 10.0
"""Seconds between asking a process to end and killing it."""
# What a launcher left in the environment of the driver would have a cell take itself for one of
# several processes, or continue what is not its own.
_LAUNCHERS = ("SLURM_", "PL_", "MASTER_", "TORCHELASTIC_", "PMI_", "OMPI_")
_RANKS = (
    "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
    "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE",
)  # fmt: skip


class JobFailed(RuntimeError):
    """A job ended without a result; says how."""


class Executor(Protocol):
    """Runs ``python -m <job.module> <job.folder>``, here or elsewhere."""

    def submit(self, job: Job) -> Future[None]:
        """Starts the job when there is room; the future raises ``JobFailed`` if it fails."""

    def stop(self) -> None:
        """Ends all that runs, and waits until it has."""


class LocalExecutor:
    """Runs some jobs at a time on this machine, as processes in sessions of their own.

    Ctrl-C reaches the driver alone, which has jobs end; if the driver is killed, they end by
    themselves (``lifeline``). What they print goes to ``log.txt`` in their folders.

    Args:
        environments: For each job that may run at once, what it finds in its environment beside
            what there is: see ``worker_environments``.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self._pool = ThreadPoolExecutor(len(environments), thread_name_prefix="job")
        self._free: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
        for environment in environments:
            self._free.put(environment)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def submit(self, job: Job) -> Future[None]:
        """Starts the job when there is room."""
        return self._pool.submit(self._run, job)

    def stop(self) -> None:
        """Ends all that runs, after ``GRACE`` seconds by force; nothing is started any more."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        running = list(self._running)
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its workers too
        self._pool.shutdown(wait=True)

    def _run(self, job: Job) -> None:
        environment = self._free.get()
        try:
            status = self._wait(job, environment)
        finally:
            self._free.put(environment)
        if status != 0:
            how = f"signal {-status}" if status < 0 else f"status {status}"
            raise JobFailed(f"{job.name} ended with {how}.")

    def _wait(self, job: Job, environment: Mapping[str, str]) -> int:
        with open(job.folder / LOG, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", job.module, str(job.folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, env={**_clean(os.environ), **environment},
            )  # fmt: skip
        self._running.add(process)
        try:
            if self._stopped:  # between the two
                process.terminate()
            return process.wait()
        finally:
            self._running.discard(process)


def worker_environments(
    jobs: int, *, gpus: Sequence[str], processes: int = 1
) -> list[dict[str, str]]:
    """Deals the machine out: an environment for each of the jobs that run at once.

    Args:
        jobs: How many.
        gpus: Names of the GPUs, as ``CUDA_VISIBLE_DEVICES`` has them; empty: none is to be seen.
        processes: That a job consists of, each on a GPU of its own (``Trainer(devices=…)``).
            GPUs are dealt out in turn; where there are too few, jobs share them.

    Raises:
        ValueError: A job needs more GPUs than there are.

    Examples:
        >>> [share["CUDA_VISIBLE_DEVICES"] for share in worker_environments(3, gpus=["0", "1"])]
        ['0', '1', '0']
    """
    if gpus and processes > len(gpus):
        raise ValueError(f"trainer.devices is {processes}, but there are {len(gpus)} GPUs.")
    threads = max(1, _cores() // (jobs * processes))
    dealt = [
        [gpus[(job * processes + i) % len(gpus)] for i in range(processes)] if gpus else []
        for job in range(jobs)
    ]
    return [
        {
            "CUDA_VISIBLE_DEVICES": ",".join(own),
            "OMP_NUM_THREADS": str(threads),  # torch takes its own number from it
            "MKL_NUM_THREADS": str(threads),
        }
        for own in dealt
    ]


def _cores() -> int:
    """Those that this process may use, and as many threads as it was allowed."""
    available = len(os.sched_getaffinity(0))
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(available, int(allowed)) if allowed.isdigit() and int(allowed) else available


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _RANKS and not name.startswith(_LAUNCHERS)
    }
    return {**kept, PARENT: str(os.getpid()), STARTED: str(time.time()), "PYTHONUNBUFFERED": "1"}
