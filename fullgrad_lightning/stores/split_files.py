"""The files of one split of a store: the ranks, and a flag for each row that is written.

Shapes: n rows, (H, W) the size of the images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.stores.checksummed_file import CheckedRows, checksums
from fullgrad_lightning.stores.memmaps import are_permutations, as_array, open_array, preallocate

CHUNK_SIZE = 2**22  # ranks that are checked together when a split is finished


class SplitFiles:
    """Writes rows in place, in any number of processes; opens the files on first use.

    Args:
        folder: Folder of the store.
        split: Name of the split.
        shape: (n, H, W).
        dtype: Type of the ranks.
    """

    def __init__(
        self, folder: Path, split: str, shape: tuple[int, int, int], dtype: np.dtype[Any]
    ) -> None:
        self.split, self.shape, self.dtype = split, shape, dtype
        self.ranks_path = folder / f"{split}.ranks.npy"
        self.written_path = folder / f"{split}.written.npy"
        self._opened: tuple[NDArray[Any], NDArray[Any]] | None = None

    def open(self) -> None:
        """Opens both files to write to, as the first ``write`` does.

        Raises:
            DamagedStore: One is missing, or holds another array.
        """
        self._arrays()

    def make(self) -> None:
        """Creates both files, with no row written."""
        preallocate(self.ranks_path, self.shape, self.dtype)
        preallocate(self.written_path, self.shape[:1], np.dtype(np.uint8))

    def rows(self, indices: object) -> NDArray[np.int64]:
        """Returns row numbers (m,) as an array.

        Raises:
            ValueError: Not integers (m,).
            IndexError: A row number outside the split.
        """
        rows = as_array(indices)
        if rows.size == 0:
            return np.empty(0, dtype=np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise ValueError(
                f"indices must be integers (m,), got {rows.dtype} of shape {rows.shape}."
            )
        low, high = rows.min(), rows.max()
        if low < 0 or high >= self.shape[0]:
            raise IndexError(f"{self.split!r} has rows 0…{self.shape[0] - 1}, got {low}…{high}.")
        return rows.astype(np.int64)

    def write(self, rows: NDArray[np.int64], ranks: NDArray[Any]) -> None:
        """Writes ranks (m, H, W) to the rows (m,).

        Raises:
            ValueError: Another shape, or rows that are not permutations.
        """
        if ranks.shape != (len(rows), *self.shape[1:]) or ranks.dtype.kind not in "iu":
            raise ValueError(
                f"ranks must be integers of shape {(len(rows), *self.shape[1:])}, got "
                f"{ranks.dtype} of shape {ranks.shape}."
            )
        valid = are_permutations(ranks)
        if not valid.all():
            raise ValueError(
                f"The ranks of row {rows[~valid][0]} of {self.split!r} are not a permutation of "
                f"0…{ranks[0].size - 1}. Pass what rank_pixels returns."
            )
        stored, written = self._arrays()
        # In this order, because the process may be killed in between.
        stored[rows] = ranks
        written[rows] = 1

    def missing(self) -> NDArray[np.int64]:
        """Returns the rows that are not written, in ascending order."""
        written = open_array(self.written_path, self.shape[:1], np.dtype(np.uint8), writable=False)
        return np.flatnonzero(written != 1)

    def discard_unsynced(self) -> None:
        """Marks rows as missing whose ranks never reached the disk, e.g. after a power failure."""
        ranks, written = self._arrays()
        step = max(1, CHUNK_SIZE // ranks[0].size)
        for first in range(0, len(ranks), step):
            rows = slice(first, first + step)
            written[rows] &= are_permutations(ranks[rows])

    def checksums(self) -> list[str]:
        """Returns the checksums of the blocks of the ranks on the disk."""
        for array in self._arrays():
            array.flush()  # type: ignore[attr-defined]
        return checksums(self.ranks_path)

    def reader(self, expected: list[str]) -> CheckedRows:
        """Returns a reader of the ranks that expects these checksums.

        Raises:
            DamagedStore: The file is missing or has another size.
        """
        return CheckedRows(self.ranks_path, self.shape, self.dtype, expected)

    def _arrays(self) -> tuple[NDArray[Any], NDArray[Any]]:
        if self._opened is None:
            self._opened = (
                open_array(self.ranks_path, self.shape, self.dtype, writable=True),
                open_array(self.written_path, self.shape[:1], np.dtype(np.uint8), writable=True),
            )
        return self._opened
