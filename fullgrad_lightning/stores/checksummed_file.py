"""Rows of a file with a checksum for each block; only the blocks that are read are checked.

Shapes: n rows of any shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.stores.base import DamagedStore
from fullgrad_lightning.stores.memmaps import REMEDY, open_array

BLOCK_SIZE = 2**20  # bytes: a millisecond to read and check; part of the store's format


def checksums(path: Path) -> list[str]:
    """Computes the checksum of each block of a file; the last block may be shorter."""
    with path.open("rb") as file:
        return [_checksum(block) for block in iter(lambda: file.read(BLOCK_SIZE), b"")]


class CheckedRows:
    """Rows of an array in a ``.npy`` file, whose blocks are checked the first time they are needed.

    Args:
        path: The file.
        shape: (n, …) of the array.
        dtype: Type of the array.
        expected: Checksums of the blocks of the file, including the header.

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
        blocks = -(-path.stat().st_size // BLOCK_SIZE)
        if blocks != len(expected):
            raise DamagedStore(
                f"{path} has {blocks} blocks of {BLOCK_SIZE:,} bytes instead of {len(expected)}: "
                f"it was truncated or overwritten. {REMEDY}"
            )

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Reads rows (m, …) into new memory.

        Args:
            rows: (m,) row numbers in 0…n − 1.

        Raises:
            DamagedStore: Names the first block that differs from what was written.
        """
        if self._array is None:
            # The header and the end of the file, before they are interpreted.
            self._check({0, len(self.expected) - 1})
            self._array = open_array(self.path, self.shape, self.dtype, writable=False)
        if self._unchecked.any():
            row = self._array[0].nbytes
            header = self.path.stat().st_size - self._array.nbytes
            for start in (header + rows * row).tolist():
                self._check(range(start // BLOCK_SIZE, (start + row - 1) // BLOCK_SIZE + 1))
        return self._array[rows]

    def check_all(self) -> None:
        """Checks every block, including those that were checked before.

        Raises:
            DamagedStore: Names the first block that differs from what was written.
        """
        self._unchecked[:] = True
        self._check(range(len(self.expected)))

    def _check(self, blocks: Iterable[int]) -> None:
        with self.path.open("rb") as file:
            for block in blocks:
                if not self._unchecked[block]:
                    continue
                file.seek(block * BLOCK_SIZE)
                content = file.read(BLOCK_SIZE)
                if _checksum(content) != self.expected[block]:
                    raise DamagedStore(
                        f"{self.path} is damaged: the checksum of block {block} (from byte "
                        f"{block * BLOCK_SIZE:,}) is not that of what was written. {REMEDY}"
                    )
                self._unchecked[block] = False


def _checksum(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()
