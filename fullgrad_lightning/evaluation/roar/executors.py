"""Executors run jobs. One for a cluster is another class with the same two methods."""

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
from fullgrad_lightning.evaluation.roar.worker import PARENT, STARTED

TERMINATE_TIMEOUT = 10.0
"""Seconds between SIGTERM and SIGKILL."""
# Variables of a launcher. With them, a cell would be one of several processes, or resume another
# run.
_LAUNCHERS = ("SLURM_", "PL_", "MASTER_", "TORCHELASTIC_", "PMI_", "OMPI_")
_RANKS = (
    "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
    "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE",
)  # fmt: skip


class JobFailed(RuntimeError):
    """Raised when a job ends without a result, with its signal or status."""


class Executor(Protocol):
    """Runs ``python -m <job.module> <job.folder>``, here or elsewhere."""

    def submit(self, job: Job) -> Future[None]:
        """Starts the job when there is room; the future raises ``JobFailed`` if it fails."""

    def stop(self) -> None:
        """Terminates all running jobs and waits for them."""


class LocalExecutor:
    """Runs several jobs at a time on this machine, as processes in sessions of their own.

    Ctrl-C reaches the scheduler alone, which terminates the jobs; if the scheduler is killed, they
    end by themselves (``start_parent_watchdog``). Their output goes to ``log.txt`` in their
    folders. Each concurrent job adds one of ``environments`` to the variables of this process.
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
        """Terminates all running jobs, after ``TERMINATE_TIMEOUT`` by force, and starts no more."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        running = list(self._running)
        for process in running:
            process.terminate()
        deadline = time.monotonic() + TERMINATE_TIMEOUT
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its workers too
        self._pool.shutdown(wait=True)

    def _run(self, job: Job) -> None:
        environment = self._free.get()
        try:
            status = self._run_process(job, environment)
        finally:
            self._free.put(environment)
        if status != 0:
            end = f"signal {-status}" if status < 0 else f"status {status}"
            raise JobFailed(f"{job.name} ended with {end}.")

    def _run_process(self, job: Job, environment: Mapping[str, str]) -> int:
        with open(job.folder / LOG, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", job.module, str(job.folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, env={**_base_environment(), **environment},
            )  # fmt: skip
        self._running.add(process)
        try:
            if self._stopped:  # before the process was in the set
                process.terminate()
            return process.wait()
        finally:
            self._running.discard(process)


def worker_environments(
    jobs: int, *, gpus: Sequence[str], processes: int = 1
) -> list[dict[str, str]]:
    """Divides GPUs and CPU threads among concurrent jobs: the environment variables of each.

    GPUs are named as in ``CUDA_VISIBLE_DEVICES``. Each process of a job has one of its own
    (``Trainer(devices=…)``); they are assigned in turn, and shared where there are too few.

    Raises:
        ValueError: A job needs more GPUs than there are.

    Examples:
        >>> environments = worker_environments(3, gpus=["0", "1"])
        >>> [environment["CUDA_VISIBLE_DEVICES"] for environment in environments]
        ['0', '1', '0']
    """
    if gpus and processes > len(gpus):
        raise ValueError(f"trainer.devices is {processes}, but there are {len(gpus)} GPUs.")
    threads = max(1, _num_cores() // (jobs * processes))
    return [
        {
            "CUDA_VISIBLE_DEVICES": ",".join(
                gpus[(job * processes + i) % len(gpus)] for i in range(processes if gpus else 0)
            ),
            "OMP_NUM_THREADS": str(threads),  # torch takes its own number from it
            "MKL_NUM_THREADS": str(threads),
        }
        for job in range(jobs)
    ]


def _num_cores() -> int:
    """The cores that this process may use, at most ``OMP_NUM_THREADS``."""
    available = len(os.sched_getaffinity(0))
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(available, int(allowed)) if allowed.isdigit() and int(allowed) else available


def _base_environment() -> dict[str, str]:
    """The environment of this process, without a launcher's variables."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _RANKS and not name.startswith(_LAUNCHERS)
    }
    return {**kept, PARENT: str(os.getpid()), STARTED: str(time.time()), "PYTHONUNBUFFERED": "1"}
