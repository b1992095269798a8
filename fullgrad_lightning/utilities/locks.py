"""An exclusive folder lock, released by the operating system when the process ends or crashes.

The ``filelock`` package does not record which process holds a native lock, and cannot test whether
one is held without taking it; both are needed for error messages and for the state of a grid.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"


class FolderInUse(RuntimeError):
    """Raised when another process holds the lock of a folder."""


@contextmanager
def folder_lock(folder: Path, *, wait: float = 0.0, name: str = LOCK) -> Iterator[None]:
    """Holds the lock of a folder, which is created if necessary, or raises ``FolderInUse``.

    Args:
        folder: The folder.
        wait: Seconds to wait for another process to release it; may be ``math.inf``.
        name: The file that is locked; it holds the id of the process.

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
    # Unbuffered, so that closing it in a forked child writes nothing.
    with open(folder / name, "ab+", buffering=0) as file:
        _acquire(file.fileno(), folder, name, time.monotonic() + wait)
        # Forked children (workers of a DataLoader) outlive a killed parent by some seconds and
        # would hold the lock for as long.
        os.register_at_fork(after_in_child=file.close)
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        yield


def is_locked(folder: Path) -> bool:
    """Returns whether a process holds the lock of a folder."""
    try:
        file = open(folder / LOCK, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return False
    with file:  # shared, so that two concurrent checks do not mistake each other for the owner
        return not _try_lock(file.fileno(), fcntl.LOCK_SH)


def owner(folder: Path, name: str = LOCK) -> int | None:
    """Returns the id of the process that last held the lock; ``None`` if it is unknown."""
    try:
        return int((folder / name).read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _acquire(descriptor: int, folder: Path, name: str, deadline: float) -> None:
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() >= deadline:
            raise FolderInUse(
                f"{folder} is in use by process {owner(folder, name) or '(unknown)'}. Wait for it "
                "to end, or end it."
            )
        time.sleep(0.1)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
