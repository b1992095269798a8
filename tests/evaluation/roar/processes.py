"""What lives, as /proc tells."""

from __future__ import annotations

import time
from pathlib import Path


def assert_gone(group: int | None, *, seconds: float) -> None:
    """No process of the group is left in time."""
    assert group is not None
    deadline = time.monotonic() + seconds
    while left := processes_of(group):
        assert time.monotonic() < deadline, f"after {seconds} s there are {left}"
        time.sleep(0.05)


def processes_of(group: int) -> list[int]:
    """Processes of a group that are not dead."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, its_group = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:3]
                threads = len(list((entry / "task").iterdir()))
            except (FileNotFoundError, ProcessLookupError):
                continue
            # One that is dead keeps its files, and locks, while threads of it are still ending.
            if int(its_group) == group and (state != "Z" or threads > 1):
                found.append(int(entry.name))
    return found


def lives(process: int) -> bool:
    """Whether a process is there and not dead."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
