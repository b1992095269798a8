"""Ranks written to a store are read from it, in any order, process and dtype."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.stores.base import IncompleteStore, StoreError
from fullgrad_lightning.stores.rank_store import RankStore
from tests.stores.rank_stores import MADE_FROM, SHAPE, SIZES, complete, create, ranks_of, write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = create(tmp_path / "new" / "store")
    assert not store.complete
    for split, rows in SIZES.items():
        assert store.missing(split).tolist() == list(range(rows))
        order = np.random.default_rng(0).permutation(rows)
        for chunk in np.array_split(order, 5):
            write(store, split, chunk)
        assert store.missing(split).tolist() == []
    store.finish()
    for reader in (store, RankStore.open(store.folder), create(store.folder)):
        assert reader.complete and (reader.sizes, reader.shape) == (SIZES, SHAPE)
        assert reader.made_from == json.loads(json.dumps(MADE_FROM))
        reader.verify()
        for split, rows in SIZES.items():
            got = reader.ranks(split, range(rows))
            assert got.dtype == torch.int32 and got.shape == (rows, *SHAPE)
            assert torch.equal(got.long(), torch.from_numpy(ranks_of(split, np.arange(rows))))
            assert reader.missing(split).tolist() == []


def test_the_files_are_plain_arrays(tmp_path: Path) -> None:
    folder = complete(tmp_path).folder
    ranks = np.load(folder / "test.ranks.npy", allow_pickle=False)
    assert ranks.dtype == np.uint16 and np.array_equal(ranks, ranks_of("test", np.arange(17)))
    written = np.load(folder / "train.written.npy", allow_pickle=False)
    assert written.dtype == np.uint8 and written.tolist() == [1] * 61


@pytest.mark.parametrize("shape", [(256, 256), (256, 257)])
def test_from_65537_pixels_on_ranks_take_four_bytes(tmp_path: Path, shape: tuple[int, int]) -> None:
    saliency = torch.rand(2, 1, *shape)
    ranks = rank_pixels(saliency, [0, 1])
    store = create(tmp_path, sizes={"val": 2}, shape=shape)
    store.write("val", torch.tensor([1, 0]), ranks)
    store.finish()
    assert torch.equal(store.ranks("val", torch.tensor([1, 0])).long(), ranks)
    expected = np.uint16 if shape == (256, 256) else np.uint32
    assert np.load(tmp_path / "val.ranks.npy", allow_pickle=False).dtype == expected


@pytest.mark.parametrize("shape", [(8, 9), (300, 301)])
def test_the_room_it_needs_is_what_it_takes(tmp_path: Path, shape: tuple[int, int]) -> None:
    create(tmp_path, shape=shape)
    needed = RankStore.bytes_needed(SIZES, shape)
    taken = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert needed <= taken <= needed + 4096
    on_disk = sum(512 * path.stat().st_blocks for path in tmp_path.iterdir())
    assert on_disk >= needed, "reserved at once: a full disk is told when the store is made"


def test_what_is_read_is_a_copy(tmp_path: Path) -> None:
    store = complete(tmp_path)
    store.ranks("test", [3]).zero_()
    assert torch.equal(store.ranks("test", [3, 3])[0], store.ranks("test", [3])[0])
    assert store.ranks("test", [3]).any()
    assert store.ranks("test", []).shape == (0, *SHAPE)


def test_an_unfinished_store_goes_on(tmp_path: Path) -> None:
    write(create(tmp_path), "train", np.array([4, 2]))
    write(create(tmp_path), "train", np.array([], dtype=np.int64))
    again = create(tmp_path)
    assert set(range(61)) - set(again.missing("train").tolist()) == {2, 4}
    with pytest.raises(IncompleteStore, match=r"59 of 61 rows of 'train' and 17 of 17 .* 'test'"):
        again.finish()
    for split in SIZES:
        write(again, split, again.missing(split))
    with pytest.raises(IncompleteStore, match="lacks its checksums"):
        RankStore.open(tmp_path)
    again.finish()
    before = (tmp_path / "manifest.json").read_bytes()
    again.finish()
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_one_process_notices_that_another_finished(tmp_path: Path) -> None:
    other = create(tmp_path)
    assert not other.complete
    complete(tmp_path)
    assert other.complete and other.missing("train").tolist() == []
    assert torch.equal(other.ranks("test", [1]), RankStore.open(tmp_path).ranks("test", [1]))
    with pytest.raises(StoreError, match="is complete and cannot be written to"):
        write(other, "test", np.array([1]))


def test_rows_that_never_reached_the_disk_are_missing(tmp_path: Path) -> None:
    """As after a power failure, which may keep the note that a row is written and not the row."""
    store = create(tmp_path)
    for split in SIZES:
        write(store, split, store.missing(split))
    ranks = np.load(tmp_path / "train.ranks.npy", mmap_mode="r+", allow_pickle=False)
    ranks[[5, 60]] = 0
    ranks[17, 3, 3] = ranks[17, 3, 4]
    with pytest.raises(IncompleteStore, match="3 of 61 rows of 'train'"):
        store.finish()
    assert store.missing("train").tolist() == [5, 17, 60]
    write(store, "train", store.missing("train"))
    store.finish()
    assert torch.equal(
        store.ranks("train", [17])[0].long(), torch.from_numpy(ranks_of("train", [17])[0])
    )


class Rows(Dataset[torch.Tensor]):
    def __init__(self, store: RankStore) -> None:
        self.store = store

    def __len__(self) -> int:
        return SIZES["train"]

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.store.ranks("train", [index])[0]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_a_loader_read_it(tmp_path: Path, context: str) -> None:
    store = complete(tmp_path)
    workers = 2 if context == "fork" else 1  # which takes seconds to start
    loader = DataLoader(Rows(store), 16, num_workers=workers, multiprocessing_context=context)
    expected = store.ranks("train", range(61))
    assert torch.equal(torch.cat(list(loader)), expected)


def test_a_pickled_store_carries_no_ranks(tmp_path: Path) -> None:
    store = complete(tmp_path)
    store.ranks("train", [0])
    copy = pickle.loads(pickle.dumps(store))
    assert len(pickle.dumps(store)) < 2000
    assert torch.equal(copy.ranks("train", [9]), store.ranks("train", [9]))
    unfinished = create(tmp_path / "other")
    write(pickle.loads(pickle.dumps(unfinished)), "test", np.array([3]))
    assert 3 not in unfinished.missing("test")


def test_looking_at_a_store_needs_no_torch(tmp_path: Path) -> None:
    create(tmp_path)
    code = (
        "import sys; from tests.stores.rank_stores import create; from pathlib import Path\n"
        f"store = create(Path({str(tmp_path)!r}))\n"
        "print(store.complete, len(store.missing('test')), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "17", "False"]
