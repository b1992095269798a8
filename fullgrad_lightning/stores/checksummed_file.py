"""Rows of a file that has a checksum for each block: what is read is checked, and nothing else.

Shapes: n rows of a shape of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.stores.errors import DamagedStore
from fullgrad_lightning.stores.memmaps import REMEDY, open_array

BYTES = 2**20  # of a block: a millisecond to read and check; part of the store's format


def checksums(path: Path) -> list[str]:
    """The checksum of each block of a file, the last of which may be shorter."""
    with path.open("rb") as file:
        return [_checksum(block) for block in iter(lambda: file.read(BYTES), b"")]


class CheckedRows:
    """Rows of an array in a ``.npy`` file, whose blocks are checked the first time they are needed.

    Args:
        path: The file.
        shape: Of the array, (n, …).
        dtype: Of the array.
        expected: Checksums of the blocks of the file, its header included.

    Raises:
        DamagedStore: The file is missing or has another number of blocks.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], expected: Sequence[str]
    ) -> None:
        self.path, self.shape, self.dtype, self.expected = path, shape, dtype, expected
        self._unchecked = np.ones(len(expected), dtype=bool)
        self._array: NDArray[Any] | None = None
        if not path.is_file():
            raise DamagedStore(f"{path} is missing. {REMEDY}")
        blocks = -(-path.stat().st_size // BYTES)
        if blocks != len(expected):
            raise DamagedStore(
                f"{path} has {blocks} blocks of {BYTES:,} bytes instead of {len(expected)}: it was "
                f"truncated or written over. {REMEDY}"
            )

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Some rows, (m, …), in memory of their own.

        Args:
            rows: (m,) indices in 0…n − 1.

        Raises:
            DamagedStore: Names the first block that is not as it was written.
        """
        if self._array is None:
            # The header and the end of the file, before anything is made of them.
            self._check({0, len(self.expected) - 1})
            self._array = open_array(self.path, self.shape, self.dtype, writable=False)
        if self._unchecked.any():
            row = self._array[0].nbytes
            header = self.path.stat().st_size - self._array.nbytes
            for start in (header + rows * row).tolist():
                self._check(range(start // BYTES, (start + row - 1) // BYTES + 1))
        return self._array[rows]

    def check_all(self) -> None:
        """Checks every block, again if it was checked before.

        Raises:
            DamagedStore: Names the first block that is not as it was written.
        """
        self._unchecked[:] = True
        self._check(range(len(self.expected)))

    def _check(self, blocks: Iterable[int]) -> None:
        with self.path.open("rb") as file:
            for block in blocks:
                if not self._unchecked[block]:
                    continue
                file.seek(block * BYTES)
                content = file.read(BYTES)
                if _checksum(content) != self.expected[block]:
                    raise DamagedStore(
                        f"{self.path} is damaged: the checksum of its block {block} (bytes from "
                        f"{block * BYTES:,} on) is not that of what was written. {REMEDY}"
                    )
                self._unchecked[block] = False


def _checksum(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()
