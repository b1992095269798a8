"""SaliencyWriter: an estimate that was cut short goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from fullgrad_lightning.stores.base import IncompleteStore
from fullgrad_lightning.stores.rank_store import RankStore
from tests.callbacks.estimating import BATCH, SIZES, Failing, contents, estimate, images

EVERYTHING = [(loader, row) for loader, n in enumerate(SIZES.values()) for row in range(n)]
ROWS = len(EVERYTHING)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The ranks of an estimate that nothing disturbed."""
    store = tmp_path_factory.mktemp("whole") / "store"
    assert len(estimate(store)) == ROWS
    return contents(store)


def test_killed_and_resumed(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """``kill -9`` when the third batch is computed and not written."""
    store = tmp_path / "store"
    killed = subprocess.run(
        [sys.executable, "-m", "tests.callbacks.estimating", str(store), "2"],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-4000:]
    with pytest.raises(IncompleteStore, match="train"):
        RankStore.open(store)
    assert estimate(store) == EVERYTHING[2 * BATCH :]
    assert contents(store) == whole
    RankStore.open(store).verify()


@pytest.mark.parametrize("batch", [0, 4, 7])
def test_an_exception_leaves_what_was_written(
    batch: int, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    store, data = tmp_path / "store", images()
    with pytest.raises(RuntimeError, match="in the middle"):
        estimate(store, Failing(batch), data=data)
    written = {0: 0, 4: 12, 7: 12 + 5 + 3}[batch]
    assert estimate(store, data=data) == EVERYTHING[written:]
    assert contents(store) == whole


def test_limit_predict_batches_is_told_of(tmp_path: Path, whole: dict[str, bytes]) -> None:
    store = tmp_path / "store"
    lacking = "lacks 9 of 12 of train, 2 of 5 of val, 4 of 7 of test rows"
    with pytest.warns(UserWarning, match=f"not complete.*{lacking}.*limit_predict_batches"):
        assert len(estimate(store, limit_predict_batches=1)) == 9
    with pytest.raises(IncompleteStore):
        RankStore.open(store)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not complete")
        assert len(estimate(store)) == ROWS - 9
    assert contents(store) == whole


def test_nothing_is_left_to_compute(tmp_path: Path, whole: dict[str, bytes]) -> None:
    store, data = tmp_path / "store", images()
    estimate(store)
    manifest = (store / "manifest.json").read_bytes()
    assert estimate(store, data=data) == []
    assert len(estimate(tmp_path / "another", data=data)) == ROWS, "all rows are handed out again"
    assert contents(store) == whole and (store / "manifest.json").read_bytes() == manifest
    RankStore.open(store).verify()


def test_killed_between_the_last_row_and_the_end(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """All rows are there, but the store does not say so yet."""
    store = tmp_path / "store"

    class AtTheEnd(Failing):
        def on_predict_epoch_end(self, *_: object) -> None:
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        estimate(store, AtTheEnd(-1))
    with pytest.raises(IncompleteStore):
        RankStore.open(store)
    assert estimate(store) == []
    assert contents(store) == whole
    RankStore.open(store).verify()
