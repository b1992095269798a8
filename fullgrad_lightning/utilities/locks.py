"""A lock on a folder that its owner holds for life: the system releases it, however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"


class FolderInUse(RuntimeError):
    """Another process holds the lock of a folder."""


@contextmanager
def folder_lock(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Holds the lock of a folder, which is made if need be.

    Args:
        folder: Its file ``lock`` is locked, and tells the id of the process.
        wait: Seconds to wait for another process to let go.

    Raises:
        FolderInUse: Another process still has it.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with folder_lock(Path(folder)):
        ...         print(is_locked(Path(folder)))
        ...     print(is_locked(Path(folder)))
        True
        False
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Without a buffer: closing it in a forked child writes nothing.
    with open(folder / LOCK, "ab+", buffering=0) as file:
        _acquire(file.fileno(), folder, time.monotonic() + wait)
        # Forked children (workers of a DataLoader) outlive a killed parent by some seconds, and
        # would hold the lock as long.
        os.register_at_fork(after_in_child=file.close)
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process holds the lock of the folder."""
    try:
        file = open(folder / LOCK, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return False
    with file:  # shared: two who look do not take each other for the owner
        return not _try_lock(file.fileno(), fcntl.LOCK_SH)


def owner(folder: Path) -> int | None:
    """The id of the process that held the lock last, if it is known."""
    try:
        return int((folder / LOCK).read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _acquire(descriptor: int, folder: Path, deadline: float) -> None:
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() >= deadline:
            raise FolderInUse(
                f"{folder} is in use by process {owner(folder) or '(unknown)'}. Wait for it to "
                "end, or end it."
            )
        time.sleep(0.1)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
