"""Atomic file replacement: after a kill a file is complete or absent."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Names chosen by users: valid as file names on every platform; `__` is reserved as our separator.
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder and renames it to ``path`` if the block succeeds.

    The folder is created if necessary. After an exception ``path`` is unchanged.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(Path(folder, "result.json")) as unfinished:
        ...         _ = unfinished.write_text("{}")
        ...     Path(folder, "result.json").read_text()
        '{}'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: libraries choose the format by it.
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Writes a file atomically; text is encoded as UTF-8."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
