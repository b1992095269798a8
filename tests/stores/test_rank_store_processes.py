"""Several processes write one store, and are killed while they do."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.locks import folder_lock
from tests.stores.rank_stores import (
    SHAPE,
    SIZES,
    complete,
    create,
    finished,
    go,
    ranks_of,
    write,
    writer,
)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_processes_write_what_one_does(tmp_path: Path) -> None:
    one = complete(tmp_path / "one")
    processes = [writer(tmp_path / "two", first, 2, pause=0.002) for first in (0, 1)]
    go(*processes)
    wrote = [finished(process) for process in processes]
    assert [len(lines) for lines in wrote] == [31 + 9, 30 + 8]
    two = create(tmp_path / "two")
    two.finish()
    assert contents(one.folder) == contents(two.folder)


def test_many_processes_make_one_store(tmp_path: Path) -> None:
    """None erases rows that a faster process has already written."""
    processes = [writer(tmp_path, first, 5) for first in range(5)]
    with folder_lock(tmp_path, name=".lock"):
        go(*processes)
        time.sleep(0.5)
        assert not (tmp_path / "manifest.json").exists(), "all wait for their turn"
    assert sum(len(finished(process)) for process in processes) == 61 + 17
    assert all(len(create(tmp_path).missing(split)) == 0 for split in SIZES)


@pytest.mark.parametrize("rows", [1, 30])
def test_a_killed_process_is_resumed_with_the_missing_rows_alone(tmp_path: Path, rows: int) -> None:
    process = writer(tmp_path / "killed", pause=0.005)
    go(process)
    assert process.stdout is not None
    seen = [process.stdout.readline().split() for _ in range(rows)]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert seen == [["train", str(row)] for row in range(rows)]

    store = create(tmp_path / "killed")
    missing = {split: store.missing(split) for split in SIZES}
    first = missing["train"][0]
    assert rows <= first < 61 and len(missing["test"]) == 17
    assert missing["train"].tolist() == list(range(first, 61))
    process = writer(tmp_path / "killed")
    go(process)
    again = finished(process)
    assert again == [f"{split} {row}" for split in SIZES for row in missing[split]]
    store.finish()
    assert contents(store.folder) == contents(complete(tmp_path / "whole").folder)


def test_a_row_torn_by_the_kill_is_computed_again(tmp_path: Path) -> None:
    """Killed between the ranks and the note that they are there: half of a row, and no note."""
    store = create(tmp_path / "torn")
    write(store, "train", np.arange(20))
    torn = np.load(tmp_path / "torn" / "train.ranks.npy", mmap_mode="r+", allow_pickle=False)
    torn[20].reshape(-1)[:40] = ranks_of("train", np.array([20])).reshape(-1)[:40]
    del torn
    resumed = create(tmp_path / "torn")
    assert resumed.missing("train")[0] == 20
    for split in SIZES:
        write(resumed, split, resumed.missing(split))
    resumed.finish()
    assert contents(resumed.folder) == contents(complete(tmp_path / "whole").folder)


WRITES_ALL_AT_ONCE = """
import sys
from pathlib import Path
import numpy as np
from tests.stores.rank_stores import create
store = create(Path(sys.argv[1]), sizes={"val": 500}, shape=(100, 100))
row = np.arange(10_000)[::-1].reshape(1, 100, 100)
store.write("val", np.arange(500), np.tile(row, (500, 1, 1)))
"""


def test_no_row_counts_as_written_before_it_is(tmp_path: Path) -> None:
    """A process is killed as soon as the first of the many ranks that it writes at once is seen."""
    process = subprocess.Popen([sys.executable, "-c", WRITES_ALL_AT_ONCE, str(tmp_path)])
    until = time.monotonic() + 60
    while not (tmp_path / "manifest.json").exists() and time.monotonic() < until:
        time.sleep(0.001)
    ranks = np.load(tmp_path / "val.ranks.npy", mmap_mode="r", allow_pickle=False)
    while not ranks[0, 0, 0] and time.monotonic() < until:
        pass
    process.kill()
    process.wait(timeout=60)
    store = create(tmp_path, sizes={"val": 500}, shape=(100, 100))
    written = np.setdiff1d(np.arange(500), store.missing("val"))
    assert ranks[0, 0, 0] and (ranks[written] == np.arange(10_000)[::-1].reshape(100, 100)).all()


def test_a_process_killed_while_it_makes_the_store(tmp_path: Path) -> None:
    """The files that it left are ignored and replaced."""
    whole = complete(tmp_path / "whole")
    (tmp_path / "left").mkdir()
    for name in (".lock", "train.ranks.npy", "train.written.npy"):
        half = (whole.folder / name).read_bytes()
        (tmp_path / "left" / name).write_bytes(half[: len(half) // 2])
    assert contents(complete(tmp_path / "left").folder) == contents(whole.folder)


def test_it_is_killed_at_any_moment(tmp_path: Path) -> None:
    whole = contents(complete(tmp_path / "whole").folder)
    for wait in (0.0, 0.05, 0.1):
        folder = tmp_path / str(wait)
        process = writer(folder, pause=0.001)
        go(process)
        until = time.monotonic() + 60
        while not (folder / "manifest.json").exists() and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(wait)
        process.kill()
        process.communicate(timeout=60)
        store = create(folder)
        ranks = np.load(folder / "train.ranks.npy", allow_pickle=False)
        written = np.setdiff1d(np.arange(61), store.missing("train"))
        assert np.array_equal(ranks[written], ranks_of("train", written))
        for split in SIZES:
            write(store, split, store.missing(split))
        store.finish()
        assert contents(folder) == whole
        assert RankStore.open(folder).ranks("test", [0]).shape == (1, *SHAPE)
