"""The ranks of all pixels of all images of a data set, on disk.

    <folder>/manifest.json        the provenance; checksums, once all rows are written
    <folder>/<split>.ranks.npy    (n, H, W) uint16 up to 65,536 pixels, else uint32
    <folder>/<split>.written.npy  (n,) uint8: 1 where a row of ranks is written

Any number of processes of one machine write rows in place, and read them, through memory maps.

Shapes: n rows, (H, W) the size of the images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.stores import manifest as manifests
from fullgrad_lightning.stores.base import IncompleteStore, StoreError, as_json
from fullgrad_lightning.stores.checksummed_file import CheckedRows
from fullgrad_lightning.stores.manifest import Manifest
from fullgrad_lightning.stores.memmaps import as_array
from fullgrad_lightning.stores.split_files import SplitFiles
from fullgrad_lightning.utilities.locks import folder_lock

if TYPE_CHECKING:  # showing the progress of a store must not import torch
    from torch import Tensor

    Indices = Sequence[int] | Tensor | NDArray[Any]


class RankStore:
    """Ranks of the pixels of all images of all splits; constructed by ``create`` or ``open``.

    It can be pickled, and its copies in other processes open the files on first use.

    Attributes:
        folder: Absolute path of the folder.
        sizes: Number of rows of each split.
        shape: (H, W).
        made_from: Everything that determines the ranks; values as JSON has them.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> store = RankStore.create(folder, sizes={"test": 2}, shape=(1, 3), made_from={"by": "I"})
        >>> store.write("test", [1], np.array([[[2, 0, 1]]]))
        >>> store.missing("test")
        array([0])
        >>> store.write("test", [0], np.array([[[0, 1, 2]]]))
        >>> store.finish()
        >>> RankStore.open(folder).ranks("test", [1])
        tensor([[[2, 0, 1]]], dtype=torch.int32)
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder.absolute()
        self.sizes, self.shape, self.made_from = manifest.sizes, manifest.shape, manifest.made_from
        self._manifest = manifest
        self._files = _files(self.folder, manifest)
        self._readers: dict[str, CheckedRows] = {}

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        sizes: Mapping[str, int],
        shape: tuple[int, int],
        made_from: Mapping[str, Any],
    ) -> RankStore:
        """Opens a store to write to: a new one, or the folder's own if its settings are the same.

        Several processes may call this simultaneously.

        Args:
            folder: The folder, which is created if necessary.
            sizes: Number of rows of each split.
            shape: (H, W).
            made_from: Everything that determines the ranks (method, checkpoint, data, …); values
                as JSON has them.

        Raises:
            ValueError: No rows, no (H, W), or ``made_from`` cannot be written as JSON.
            StoreMismatch: The folder's store was created with different settings; names them.
            DamagedStore: Files of the store differ from what was written.
            OSError: Not enough space on the disk.
        """
        manifests.check(sizes, shape)
        folder, made_from = Path(folder), as_json(made_from)
        requested = Manifest(sizes=dict(sizes), shape=(shape[0], shape[1]), made_from=made_from)
        path = folder / manifests.NAME
        if not path.is_file():
            with _lock(folder):
                if not path.is_file():
                    for files in _files(folder, requested).values():
                        files.make()
                    requested.write(folder)  # last: it declares that all files exist
        stored = Manifest.read(folder)
        stored.check_same(folder, requested)
        store = cls(folder, stored)
        for split, files in store._files.items():
            store._reader(split) if store.complete else files.open()
        return store

    @classmethod
    def open(cls, folder: str | Path) -> RankStore:
        """Opens a complete store to read from.

        Raises:
            FileNotFoundError: The folder holds no store.
            StoreError: The store has another format.
            IncompleteStore: Rows are missing; names how many, of which split.
            DamagedStore: Files are missing, truncated or cannot be read.
        """
        store = cls(Path(folder), Manifest.read(Path(folder)))
        for split in store.sizes:
            store._reader(split)
        return store

    @staticmethod
    def bytes_needed(sizes: Mapping[str, int], shape: tuple[int, int]) -> int:
        """Returns the disk space that the ranks take, to within some kilobytes."""
        manifests.check(sizes, shape)
        row = shape[0] * shape[1] * manifests.rank_dtype(shape).itemsize
        return sum(rows * (row + 1) for rows in sizes.values())

    @property
    def complete(self) -> bool:
        """True if all rows and their checksums are written; any process may finish the store."""
        if self._manifest.checksums is None:
            self._manifest = Manifest.read(self.folder)
        return self._manifest.checksums is not None

    def write(self, split: str, indices: Indices, ranks: Tensor | NDArray[Any]) -> None:
        """Writes rows; a row whose write is interrupted counts as missing.

        Args:
            split: One of ``sizes``.
            indices: (n,) row numbers.
            ranks: (n, H, W) integers, each row a permutation of 0…H·W − 1.

        Raises:
            ValueError: Another shape, or rows that are not permutations.
            IndexError: A row number outside the split.
            StoreError: The store is complete.
        """
        files = self._split(split)
        if self.complete:
            raise StoreError(
                f"The store in {self.folder} is complete and cannot be written to. Write only the "
                "rows that are missing(), or give another folder."
            )
        files.write(files.rows(indices), as_array(ranks))

    def missing(self, split: str) -> NDArray[np.int64]:
        """Returns the rows of a split that are not written, in ascending order."""
        files = self._split(split)
        return np.empty(0, dtype=np.int64) if self.complete else files.missing()

    def finish(self) -> None:
        """Computes checksums and marks the store as complete; does nothing if it is.

        Raises:
            IncompleteStore: Rows are missing; names how many, of which split. Rows whose ranks
                never reached the disk (a power failure) are missing too.
        """
        with _lock(self.folder):
            if self.complete:
                return
            for files in self._files.values():
                files.discard_unsynced()
            if missing := self._describe_missing():
                raise self._incomplete(missing)
            checksums = {split: files.checksums() for split, files in self._files.items()}
            self._manifest = replace(self._manifest, checksums=checksums)
            self._manifest.write(self.folder)

    def ranks(self, split: str, indices: Indices) -> Tensor:
        """Reads the ranks of some rows into new memory.

        Each block of the file is checked the first time that the process reads from it.

        Args:
            split: One of ``sizes``.
            indices: (n,) row numbers.

        Returns:
            (n, H, W) int32.

        Raises:
            ValueError: No such split.
            IndexError: A row number outside the split.
            IncompleteStore: The store is not complete.
            DamagedStore: Names the file and the block that differs from what was written.
        """
        import torch

        rows = self._split(split).rows(indices)
        return torch.from_numpy(self._reader(split).read(rows).astype(np.int32))

    def verify(self) -> None:
        """Checks all blocks of a complete store.

        Raises:
            IncompleteStore: The store is not complete.
            DamagedStore: Names the file and the first block that differs from what was written.
        """
        for split in self.sizes:
            self._reader(split).check_all()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "manifest": self._manifest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _reader(self, split: str) -> CheckedRows:
        if split not in self._readers:
            if not self.complete:
                raise self._incomplete(self._describe_missing() or "its checksums")
            assert self._manifest.checksums is not None
            self._readers[split] = self._files[split].reader(self._manifest.checksums[split])
        return self._readers[split]

    def _split(self, split: str) -> SplitFiles:
        if split not in self._files:
            raise ValueError(f"There is no split {split!r}. There are: {', '.join(self.sizes)}.")
        return self._files[split]

    def _describe_missing(self) -> str:
        counts = {split: len(files.missing()) for split, files in self._files.items()}
        return " and ".join(
            f"{n} of {self.sizes[split]} rows of {split!r}" for split, n in counts.items() if n
        )

    def _incomplete(self, missing: str) -> IncompleteStore:
        return IncompleteStore(
            f"The store in {self.folder} is not complete: it lacks {missing}. Run the prediction "
            "that writes it again: it computes only the missing rows."
        )


def _lock(folder: Path) -> AbstractContextManager[None]:
    return folder_lock(folder, wait=math.inf, name=".lock")


def _files(folder: Path, manifest: Manifest) -> dict[str, SplitFiles]:
    return {
        split: SplitFiles(folder, split, (rows, *manifest.shape), manifest.dtype)
        for split, rows in manifest.sizes.items()
    }
