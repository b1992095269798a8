"""Refusals of a store of ranks, and their messages."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fullgrad_lightning.stores import checksummed_file as blocks
from fullgrad_lightning.stores.base import (
    DamagedStore,
    IncompleteStore,
    StoreError,
    StoreMismatch,
)
from fullgrad_lightning.stores.rank_store import RankStore
from tests.stores.rank_stores import MADE_FROM, SHAPE, complete, create, ranks_of, write


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"made_from": {**MADE_FROM, "method": "random"}},
         "made_from.method is 'fullgrad' in the store and 'random' now"),
        ({"made_from": {**MADE_FROM, "options": {"sites": "bias"}}},
         "made_from.options.sites is 'all' in the store and 'bias' now"),
        ({"made_from": {**MADE_FROM, "checkpoint": "ab12"}},
         "made_from.checkpoint is nothing in the store and 'ab12' now"),
        ({"made_from": {"method": "fullgrad", "sizes": [1, 2]}},
         "made_from.options is {'sites': 'all'} in the store and nothing now"),
        ({"shape": (9, 8)}, "shape is (8, 9) in the store and (9, 8) now"),
        ({"sizes": {"train": 60, "test": 17}}, "sizes.train is 61 in the store and 60 now"),
        ({"sizes": {"train": 61}}, "sizes.test is 17 in the store and nothing now"),
    ],
)  # fmt: skip
def test_a_store_of_something_else(
    tmp_path: Path, finished: bool, changed: dict[str, Any], message: str
) -> None:
    (complete if finished else create)(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        StoreMismatch, match=re.escape(f"created with different settings: {message}. Give")
    ):
        create(tmp_path, **changed)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_all_differences_are_named(tmp_path: Path) -> None:
    create(tmp_path)
    with pytest.raises(StoreMismatch, match=r"sizes.train is .*; shape is .*; made_from.method is"):
        create(tmp_path, sizes={"train": 1, "test": 17}, shape=(2, 2), made_from={"method": "x"})


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"made_from": {"model": object()}}, "made_from must hold what JSON can"),
        ({"made_from": {"sigma": float("nan")}}, "made_from must hold what JSON can"),
        ({"sizes": {}}, "needs splits and a shape"),
        ({"sizes": {"train": 0}}, "'train' needs a number of rows ≥ 1, got 0"),
        ({"sizes": {"../train": 3}}, "A split needs a name like 'train', got '../train'"),
        ({"shape": (8,)}, "needs splits and a shape"),
        ({"shape": (8, 0)}, "needs splits and a shape"),
    ],
)
def test_what_no_store_can_be_made_of(tmp_path: Path, changed: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        create(tmp_path / "new", **changed)
    assert not (tmp_path / "new").exists()


def test_bad_rows_are_not_written(tmp_path: Path) -> None:
    store, two = create(tmp_path), ranks_of("test", np.arange(2))
    with pytest.raises(ValueError, match=r"no split 'val'\. There are: train, test"):
        store.write("val", [0, 1], two)
    for indices in ([0, 17], [-1, 0]):
        with pytest.raises(IndexError, match=r"'test' has rows 0…16, got "):
            store.write("test", indices, two)
    for bad_indices in ([0.0, 1.0], [[0, 1]]):
        with pytest.raises(ValueError, match=r"indices must be integers \(m,\)"):
            store.write("test", bad_indices, two)  # type: ignore[arg-type]
    for bad in (two[:1], two[:, :-1], two.astype(float), torch.rand(2, *SHAPE)):
        with pytest.raises(ValueError, match=r"ranks must be integers of shape \(2, 8, 9\)"):
            store.write("test", [0, 1], bad)
    for value in (-1, 72, two[1, 0, 1]):
        broken = two.copy()
        broken[1, 0, 0] = value
        with pytest.raises(ValueError, match="row 6 of 'test' are not a permutation of 0…71"):
            store.write("test", [5, 6], broken)
    for value in (-1, 72):  # and all others there once
        with pytest.raises(ValueError, match="ranks of row 5 of 'test' are not a permutation"):
            store.write("test", [5], np.where(two[:1] == 0, value, two[:1]))
    assert len(store.missing("test")) == 17


def test_an_incomplete_store_is_not_read(tmp_path: Path) -> None:
    store = create(tmp_path)
    write(store, "train", np.arange(60))
    for read in (lambda: RankStore.open(tmp_path), lambda: store.ranks("train", [0]), store.verify):
        with pytest.raises(IncompleteStore, match="1 of 61 rows of 'train' and 17 of 17 rows of"):
            read()


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no store of ranks: there is no manifest"):
        RankStore.open(tmp_path / "nowhere")


def test_another_format(tmp_path: Path) -> None:
    complete(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2, "new": 1}))
    for use in (RankStore.open, create):
        with pytest.raises(StoreError, match=r"has format 2, and this version .* reads format 1"):
            use(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "sizes": 3, "shape": [1, 2]}']
)
def test_a_damaged_manifest(tmp_path: Path, content: str) -> None:
    complete(tmp_path)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DamagedStore, match=r"manifest.json is damaged and cannot be read"):
        RankStore.open(tmp_path)


@pytest.mark.parametrize("finished", [False, True])
def test_missing_and_truncated_files(tmp_path: Path, finished: bool) -> None:
    (complete if finished else create)(tmp_path)
    path = tmp_path / "train.ranks.npy"
    whole = path.read_bytes()

    def use() -> None:
        store = create(tmp_path)
        if finished:
            store.verify()

    for content in (whole[:-1], whole[:100], whole[:5], b"", b"PK\x03\x04" + whole[4:]):
        path.write_bytes(content)
        with pytest.raises(DamagedStore, match=r"train.ranks.npy .*Delete the store's folder"):
            use()
    path.unlink()
    with pytest.raises(DamagedStore, match=r"train.ranks.npy is missing"):
        use()


def test_another_array_in_the_place_of_the_ranks(tmp_path: Path) -> None:
    create(tmp_path)
    np.save(tmp_path / "test.ranks.npy", np.zeros((17, 9, 8), dtype=np.uint16))
    with pytest.raises(DamagedStore, match=r"holds uint16 of shape \(17, 9, 8\), where the manif"):
        create(tmp_path)


def test_any_flipped_byte_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 500)  # or a small store would be one block
    folder = complete(tmp_path).folder
    path = folder / "test.ranks.npy"
    whole = path.read_bytes()
    row, header = 144, 128
    assert len(whole) == header + 17 * row
    for place in (*range(0, len(whole), 7), len(whole) - 1):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        block = place // 500
        message = f"test.ranks.npy is damaged: .* block {block} "
        with pytest.raises(DamagedStore, match=message):
            RankStore.open(folder).verify()
        store = RankStore.open(folder)
        for index in range(17):
            ends = (header + index * row, header + (index + 1) * row - 1)
            touched = {0, (len(whole) - 1) // 500, *(end // 500 for end in ends)}
            damaged = block in touched
            with pytest.raises(DamagedStore, match=message) if damaged else nullcontext():
                store.ranks("test", [index])
    path.write_bytes(whole)
    RankStore.open(folder).verify()


def test_damage_is_noticed_by_who_reads_it_for_the_first_time(tmp_path: Path) -> None:
    store = complete(tmp_path)
    store.ranks("test", [0])
    content = bytearray((tmp_path / "test.ranks.npy").read_bytes())
    content[-1] ^= 255
    (tmp_path / "test.ranks.npy").write_bytes(content)
    with pytest.raises(DamagedStore):
        RankStore.open(tmp_path).ranks("test", [0])
    with pytest.raises(DamagedStore):
        store.verify()
