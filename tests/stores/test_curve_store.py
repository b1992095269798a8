"""The file of scores: rows, refusals, several processes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fullgrad_lightning.stores.base import DamagedStore, IncompleteStore, StoreMismatch
from fullgrad_lightning.stores.curve_store import CurveStore

COLUMNS = {"a": 1, "b": 2}


def opened(folder: Path, series: str = "mine", size: int = 6, **made_from: Any) -> CurveStore:
    return CurveStore(
        folder / "scores.sqlite", series, split="test", columns=COLUMNS, size=size,
        made_from=made_from,
    )  # fmt: skip


def write(store: CurveStore, rows: list[int], factor: float = 1.0) -> None:
    numbers = factor * (10.0 * torch.tensor(rows)[:, None] + torch.arange(3.0)).double()
    store.write("test", torch.tensor(rows), numbers)


def test_rows_come_back_bit_for_bit_in_their_order(tmp_path: Path) -> None:
    store = opened(tmp_path)
    write(store, [4, 1], 1 / 3)
    assert store.missing("test").tolist() == [0, 2, 3, 5]
    write(store, [0, 2, 3, 5], 1 / 3)
    again = opened(tmp_path)
    assert not len(again.missing("test"))
    found, third = again.read(), np.float64(1 / 3)
    assert found.keys() == COLUMNS.keys()
    assert found["a"].tolist() == [[10.0 * i * third] for i in range(6)]
    assert found["b"].tolist() == [
        [(10.0 * i + 1) * third, (10.0 * i + 2) * third] for i in range(6)
    ]


def test_not_a_number_is_a_number_here(tmp_path: Path) -> None:
    store = opened(tmp_path, size=1)
    store.write("test", torch.tensor([0]), torch.tensor([[1.0, torch.nan, 2.0]]))
    assert np.isnan(store.read()["b"]).tolist() == [[True, False]]


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    store = opened(tmp_path)
    write(store, [1])
    with pytest.raises(IncompleteStore, match="1 of 6 rows of 'mine'"):
        store.read()


def test_series_are_apart(tmp_path: Path) -> None:
    write(opened(tmp_path, "one", seed=0), [0, 1])
    other = opened(tmp_path, "two", seed=1)
    assert len(other.missing("test")) == 6


@pytest.mark.parametrize(
    ("size", "made_from", "message"),
    [
        (7, {"fill": "black"}, "made_from.size is 6 in the store and 7 now"),
        (6, {"fill": "mean"}, "made_from.fill is 'black' in the store and 'mean' now"),
        (6, {}, "made_from.fill is 'black' in the store and nothing now"),
    ],
)
def test_made_from_something_else(
    size: int, made_from: dict[str, Any], message: str, tmp_path: Path
) -> None:
    opened(tmp_path, fill="black")
    with pytest.raises(StoreMismatch, match=message):
        opened(tmp_path, size=size, **made_from)
    opened(tmp_path, fill="black")


def test_a_damaged_file(tmp_path: Path) -> None:
    write(opened(tmp_path), [0])
    (tmp_path / "scores.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(DamagedStore, match=r"scores\.sqlite cannot be read .* delete it"):
        opened(tmp_path)


def many(folder: str, first: int) -> None:
    store = opened(Path(folder), size=200)
    for row in range(first, 200, 4):
        write(store, [row])


def test_four_processes_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=many, args=(str(tmp_path), i)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    assert opened(tmp_path, size=200).read()["a"][:, 0].tolist() == [10.0 * i for i in range(200)]
