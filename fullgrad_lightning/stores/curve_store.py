"""Per-sample curves of all methods in one SQLite file; an interruption loses one batch at most.

Shapes: n rows, one for each sample; M numbers in a row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.stores.base import DamagedStore, IncompleteStore, as_json, check_provenance

if TYPE_CHECKING:
    from torch import Tensor

TIMEOUT = 120.0  # seconds to wait for other processes that write
_TABLES = """
CREATE TABLE IF NOT EXISTS series (name TEXT PRIMARY KEY, made_from TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS scores (
    series TEXT, row INTEGER, numbers BLOB NOT NULL, PRIMARY KEY (series, row)
) WITHOUT ROWID;
"""


class CurveStore:
    """One series of curves, such as those of one method; any number of processes may write it.

    Args:
        path: The file of all series, which is created if necessary.
        series: Name of the series.
        split: Name of the samples' split.
        columns: Name of each curve, and its number of values; M in all.
        size: n.
        made_from: Everything that determines the curves; values as JSON has them.

    Raises:
        StoreMismatch: A series of this name was created with different settings.
        DamagedStore: The file cannot be read.

    Examples:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp(), "scores.sqlite")
        >>> store = CurveStore(path, "mine", split="test", columns={"a": 1, "b": 2}, size=2,
        ...                    made_from={})
        >>> store.write("test", torch.tensor([1]), torch.tensor([[0.5, 1.0, 2.0]]))
        >>> store.missing("test")
        array([0])
    """

    def __init__(
        self,
        path: Path,
        series: str,
        *,
        split: str,
        columns: Mapping[str, int],
        size: int,
        made_from: Mapping[str, Any],
    ) -> None:
        self.path, self.series, self.split = path, series, split
        self.columns, self.size = dict(columns), size
        self._check({**as_json(made_from), "columns": self.columns, "size": size, "split": split})

    @property
    def sizes(self) -> dict[str, int]:
        """Number of rows, n, of the split."""
        return {self.split: self.size}

    def missing(self, split: str) -> NDArray[np.int64]:
        """Returns the rows that are not written, in ascending order."""
        with _opened(self.path) as file:
            rows = file.execute("SELECT row FROM scores WHERE series = ?", (self.series,))
            written = np.zeros(self.size, dtype=bool)
            written[[row for (row,) in rows]] = True
        return np.flatnonzero(~written)

    def write(self, split: str, indices: Tensor | Sequence[int], values: Tensor) -> None:
        """Writes rows, all of them or none.

        Args:
            split: The split of the store.
            indices: (m,) row numbers.
            values: (m, M) numbers.
        """
        numbers = np.asarray(values.cpu(), dtype="<f8")
        expected = (len(indices), sum(self.columns.values()))
        assert numbers.shape == expected, f"{numbers.shape} is not {expected}"
        rows = [
            (self.series, int(i), row.tobytes()) for i, row in zip(indices, numbers, strict=True)
        ]
        with _opened(self.path) as file:
            file.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)

    def finish(self) -> None:
        """Does nothing: rows are on the disk as soon as they are written."""

    def read(self) -> dict[str, NDArray[np.float64]]:
        """Returns all rows by curve, each (n, number of values).

        Raises:
            IncompleteStore: Rows are missing.
        """
        with _opened(self.path) as file:
            query = "SELECT numbers FROM scores WHERE series = ? ORDER BY row"
            rows = [row for (row,) in file.execute(query, (self.series,))]
        if len(rows) < self.size:
            raise IncompleteStore(
                f"{self.path} has {len(rows)} of {self.size} rows of {self.series!r}. Run the same "
                "command again: it computes the missing ones."
            )
        numbers = np.frombuffer(b"".join(rows), dtype="<f8").reshape(self.size, -1)
        ends = np.cumsum(list(self.columns.values()))
        return dict(zip(self.columns, np.split(numbers, ends[:-1], axis=1), strict=True))

    def _check(self, made_from: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(self.path) as file:
            for statement in _TABLES.split(";"):
                file.execute(statement)
            entry = (self.series, json.dumps(made_from))
            file.execute("INSERT OR IGNORE INTO series VALUES (?, ?)", entry)
            query = "SELECT made_from FROM series WHERE name = ?"
            ((text,),) = file.execute(query, (self.series,)).fetchall()
        check_provenance(
            f"The series {self.series!r} in {self.path}",
            {"made_from": json.loads(text)}, {"made_from": as_json(made_from)},
            remedy="Give another output, or delete this one.",
        )  # fmt: skip


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens the file for one transaction only, because connections do not survive a fork."""
    try:
        with closing(sqlite3.connect(path, timeout=TIMEOUT)) as file, file:
            file.execute("BEGIN IMMEDIATE")
            yield file
    except sqlite3.DatabaseError as error:
        raise DamagedStore(
            f"{path} cannot be read or written ({error}). If it is damaged, delete it and run the "
            "same command again: scores are computed again, maps are kept."
        ) from error
