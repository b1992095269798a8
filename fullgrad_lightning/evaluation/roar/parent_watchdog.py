"""A process that ends when its parent dies, by whatever signal.

Linux' own signal for it (``PR_SET_PDEATHSIG``) comes when the *thread* that started the child ends,
and an executor's threads do. So a thread of the child looks who its parent is.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT = "FULLGRAD_PARENT"
"""Environment variable: the id of the process that must live."""
INTERVAL = 0.25
"""Seconds between two looks."""


def start_parent_watchdog() -> None:
    """Has this process die soon after the one in ``FULLGRAD_PARENT``; without it, does nothing.

    Call it before what is slow to import. Processes that this one starts (the other ranks of DDP)
    get this one as the parent to watch.
    """
    parent = os.environ.get(PARENT)
    if parent is not None:
        threading.Thread(target=_watch, args=(int(parent),), name="lifeline", daemon=True).start()
    os.environ[PARENT] = str(os.getpid())


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    if os.getpgrp() == os.getpid():  # started by an executor: the group is this job and no more
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
