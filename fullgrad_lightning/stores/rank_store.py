"""The ranks of all pixels of all images of a data set, on disk.

    <folder>/manifest.json        what the ranks were made from; checksums, once all rows are there
    <folder>/<split>.ranks.npy    (n, H, W) uint16 up to 65,536 pixels, else uint32
    <folder>/<split>.written.npy  (n,) uint8: 1 where a row of ranks is there

Any number of processes of one machine write rows in place, and read them, through memory maps.

Shapes: n rows, (H, W) the size of the images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.stores import manifest as manifests
from fullgrad_lightning.stores.checksummed_file import CheckedRows
from fullgrad_lightning.stores.errors import IncompleteStore, StoreError
from fullgrad_lightning.stores.lock import locked
from fullgrad_lightning.stores.manifest import Manifest
from fullgrad_lightning.stores.memmaps import as_array
from fullgrad_lightning.stores.split_files import SplitFiles

if TYPE_CHECKING:  # who only looks at a store's progress need not wait for torch
    from torch import Tensor

    Indices = Sequence[int] | Tensor | NDArray[Any]


class RankStore:
    """Ranks of the pixels of every image of every split; made by ``create`` or ``open``.

    It can be pickled, and its copies in other processes open the files on first use.

    Attributes:
        folder: Where it is, an absolute path.
        sizes: Number of rows of each split.
        shape: (H, W).
        made_from: What determines the ranks, as JSON has it.

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
        """A store to write to: a new one, or the one in the folder if it was made from the same.

        Several processes may call this at once.

        Args:
            folder: Is made if need be.
            sizes: Number of rows of each split.
            shape: (H, W).
            made_from: All that determines the ranks (method, checkpoint, data, …), as JSON has it.

        Raises:
            ValueError: No rows, no (H, W), or ``made_from`` cannot be written as JSON.
            StoreMismatch: The folder holds a store of something else; names what differs.
            DamagedStore: Its files are not as they were written.
            OSError: There is not enough room on the disk.
        """
        manifests.check(sizes, shape)
        folder, made_from = Path(folder), manifests.as_json(made_from)
        given = Manifest(sizes=dict(sizes), shape=(shape[0], shape[1]), made_from=made_from)
        path = folder / manifests.NAME
        if not path.is_file():
            with locked(folder):
                if not path.is_file():
                    for files in _files(folder, given).values():
                        files.make()
                    given.write(folder)  # last: what it stands for is there
        stored = Manifest.read(folder)
        stored.check_same(folder, given)
        store = cls(folder, stored)
        for split, files in store._files.items():
            store._reader(split) if store.complete else files.open()
        return store

    @classmethod
    def open(cls, folder: str | Path) -> RankStore:
        """A complete store, to read from.

        Raises:
            FileNotFoundError: The folder holds no store.
            StoreError: It has another format.
            IncompleteStore: Rows are missing; tells how many, of which split.
            DamagedStore: Files are missing, truncated or cannot be read.
        """
        store = cls(Path(folder), Manifest.read(Path(folder)))
        for split in store.sizes:
            store._reader(split)
        return store

    @staticmethod
    def bytes_needed(sizes: Mapping[str, int], shape: tuple[int, int]) -> int:
        """The room on the disk that the ranks take, but for some kilobytes."""
        manifests.check(sizes, shape)
        row = shape[0] * shape[1] * manifests.rank_dtype(shape).itemsize
        return sum(rows * (row + 1) for rows in sizes.values())

    @property
    def complete(self) -> bool:
        """Whether all rows are there and have checksums; any process may finish the store."""
        if self._manifest.checksums is None:
            self._manifest = Manifest.read(self.folder)
        return self._manifest.checksums is not None

    def write(self, split: str, indices: Indices, ranks: Tensor | NDArray[Any]) -> None:
        """Writes rows; a row that is killed on the way counts as missing.

        Args:
            split: One of ``sizes``.
            indices: (n,), the rows.
            ranks: (n, H, W) integers, each row a permutation of 0…H·W − 1.

        Raises:
            ValueError: Another shape, or rows that are no permutations.
            IndexError: A row that the split does not have.
            StoreError: The store is complete.
        """
        files = self._split(split)
        if self.complete:
            raise StoreError(
                f"The store in {self.folder} is complete and cannot be written to. Write what is "
                "missing() only, or give another folder."
            )
        files.write(files.rows(indices), as_array(ranks))

    def missing(self, split: str) -> NDArray[np.int64]:
        """Indices of the rows of a split that have not been written, in rising order."""
        files = self._split(split)
        return np.empty(0, dtype=np.int64) if self.complete else files.missing()

    def finish(self) -> None:
        """Declares the store complete, and computes checksums; does nothing if it is.

        Raises:
            IncompleteStore: Rows are missing; tells how many, of which split. Rows that were
                written but whose ranks never reached the disk (a power failure) are missing too.
        """
        with locked(self.folder):
            if self.complete:
                return
            for files in self._files.values():
                files.forget_broken()
            if lacking := self._lacking():
                raise self._incomplete(lacking)
            found = {split: files.checksums() for split, files in self._files.items()}
            self._manifest = replace(self._manifest, checksums=found)
            self._manifest.write(self.folder)

    def ranks(self, split: str, indices: Indices) -> Tensor:
        """The ranks of some rows, in memory of their own.

        Each block of the file is checked the first time that the process reads from it.

        Args:
            split: One of ``sizes``.
            indices: (n,), the rows.

        Returns:
            (n, H, W) int32.

        Raises:
            ValueError: No such split.
            IndexError: A row that the split does not have.
            IncompleteStore: The store is not complete.
            DamagedStore: Names the file and the block that is not as it was written.
        """
        import torch

        rows = self._split(split).rows(indices)
        return torch.from_numpy(self._reader(split).read(rows).astype(np.int32))

    def verify(self) -> None:
        """Checks all of a complete store.

        Raises:
            IncompleteStore: The store is not complete.
            DamagedStore: Names the file and the first block that is not as it was written.
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
                raise self._incomplete(self._lacking() or "its checksums")
            assert self._manifest.checksums is not None
            self._readers[split] = self._files[split].reader(self._manifest.checksums[split])
        return self._readers[split]

    def _split(self, split: str) -> SplitFiles:
        if split not in self._files:
            raise ValueError(f"There is no split {split!r}. There are: {', '.join(self.sizes)}.")
        return self._files[split]

    def _lacking(self) -> str:
        counts = {split: len(files.missing()) for split, files in self._files.items()}
        lacking = [(n, self.sizes[split], split) for split, n in counts.items() if n]
        return " and ".join(f"{n} of {rows} rows of {split!r}" for n, rows, split in lacking)

    def _incomplete(self, lacking: str) -> IncompleteStore:
        return IncompleteStore(
            f"The store in {self.folder} is not complete: it lacks {lacking}. Run the prediction "
            "that writes it again: it computes only what is missing."
        )


def _files(folder: Path, manifest: Manifest) -> dict[str, SplitFiles]:
    return {
        split: SplitFiles(folder, split, (rows, *manifest.shape), manifest.dtype)
        for split, rows in manifest.sizes.items()
    }
