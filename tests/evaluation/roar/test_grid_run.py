"""What a whole run leaves behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fullgrad_lightning.cli import main
from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.stores.rank_store import RankStore
from tests.evaluation.roar import grids


def test_every_cell_has_its_result_and_logs(uninterrupted: Path) -> None:
    reference, masked = GridState(uninterrupted).cells()
    assert (reference.method, reference.fraction, reference.seed) == ("reference", 0.0, 0)
    assert (masked.method, masked.fraction, masked.seed) == ("random", 0.5, 0)
    for cell in (reference, masked):
        assert cell.state == "done" and cell.result is not None and cell.failure is None
        assert 0 <= cell.result["test_accuracy"] <= 1
        assert cell.result["epochs"] == grids.EPOCHS
        seconds = cell.result["seconds"]
        assert seconds["outside"] == pytest.approx(seconds["total"] - seconds["training"])
        assert 0 < seconds["training"] < seconds["total"] < 60
        assert set(cell.result["versions"]) >= {"fullgrad_lightning", "torch", "pytorch_lightning"}
        (log,) = (cell.folder / "logs").iterdir()
        assert (log / "metrics.csv").is_file() and list(log.glob("events.*"))
    assert (reference.folder / "last.ckpt").is_file()
    assert not (masked.folder / "last.ckpt").exists()


def test_examples_show_what_was_removed(uninterrupted: Path) -> None:
    reference, masked = (
        np.load(cell.folder / "examples.npz", allow_pickle=False)
        for cell in GridState(uninterrupted).cells()
    )
    assert reference["images"].shape == masked["images"].shape == (6, 16, 16, 3)
    assert reference["images"].dtype == np.uint8
    np.testing.assert_array_equal(reference["indices"], np.arange(6) * 61 // 6)
    np.testing.assert_array_equal(reference["labels"], masked["labels"])
    kept = (reference["images"] == masked["images"]).all(-1)
    assert 0.5 <= kept.mean() < 0.6  # a replaced pixel may have the mean's colour


def test_the_store_is_complete_and_of_the_reference(uninterrupted: Path) -> None:
    (name,) = GridState(uninterrupted).maps()
    store = RankStore.open(uninterrupted / "maps" / name)
    store.verify()
    assert store.sizes == {"train": 64, "val": 8, "test": 61} and store.shape == (16, 16)


def test_the_report_is_written(uninterrupted: Path) -> None:
    assert (uninterrupted / "report" / "results.csv").is_file()
    assert (uninterrupted / "report" / "accuracy.png").is_file()


@pytest.mark.parametrize("action", ["status", "report"])
def test_without_torch(action: str, uninterrupted: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(uninterrupted, tmp_path / "copy")
    code = (
        "import sys; from fullgrad_lightning.cli import main; "
        f"status = main(['roar', '{action}', {str(copy)!r}]); "
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "random" in done.stdout


def test_status_shows_a_sign_for_each_cell(
    uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["roar", "status", str(uninterrupted)]) == 0
    shown = capsys.readouterr().out
    assert "2 cells, 2 done" in shown and "maps: 1 of 1 done" in shown
    assert [line.split() for line in shown.splitlines()[2:5]] == [
        ["0", "0.5"], ["reference", "#"], ["random", "#"],
    ]  # fmt: skip


def test_a_folder_without_a_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["roar", "status", str(tmp_path)]) == 2
    assert "there is no grid in" in capsys.readouterr().err
