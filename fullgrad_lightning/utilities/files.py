"""Files that are there whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Of a user's: it makes a file or folder anywhere, and `__` is left for what is put between names.
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Hands out a path beside ``path`` to write to, which takes its place when the block ends well.

    Args:
        path: The file; its folder is made if need be.

    Yields:
        A path in the same folder. After an exception it is removed, and ``path`` is as it was.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(Path(folder, "result.json")) as unfinished:
        ...         _ = unfinished.write_text("{}")
        ...     Path(folder, "result.json").read_text()
        '{}'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays: libraries tell the format by it.
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Writes a file that is there whole or not at all; text is UTF-8."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
