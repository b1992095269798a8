"""The whole report: all its files, at any time, without torch."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fullgrad_lightning.evaluation.roar.report import write_report
from fullgrad_lightning.utilities.locks import FolderInUse, folder_lock
from tests.evaluation.roar.report.grids import falling, write

FILES = {"results.csv", "table.md", "accuracy.png", "accuracy.svg", "tensorboard", "lock"}


def noise(fraction: float) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (2, 28, 28, 3), dtype=np.uint8)


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "report").iterdir()}


def test_all_files_and_the_text(tmp_path: Path) -> None:
    text = write_report(write(tmp_path, images=noise))
    assert files(tmp_path) == {*FILES, "masked_images.png"}
    assert text.startswith("15 of 15 cells done.")
    assert "Reference, nothing replaced" in text and "Minus random" in text
    assert f"tensorboard --logdir {tmp_path / 'report' / 'tensorboard'}" in text
    assert max(map(len, text.split("Tables, curves")[0].splitlines())) <= 100


def test_many_runs_are_told_to_be_not_ticked(tmp_path: Path) -> None:
    few = write_report(write(tmp_path / "few", fractions=[0.1], seeds=range(13)))
    many = write_report(write(tmp_path / "many", fractions=[0.1], seeds=range(14)))
    assert "39 of 39" in few and 'the run "report"' not in few
    assert "42 of 42" in many and 'the run "report"' in many


@pytest.mark.parametrize(
    ("methods", "seeds"),
    [(["fullgrad"], [3]), (["random"], [0, 1]), (["a|b", "$x^2$", "two\nlines", "../.."], [0])],
)
@pytest.mark.parametrize("done", [0, 1, 2, 99])
def test_any_grid_at_any_time(
    tmp_path: Path, methods: list[str], seeds: list[int], done: int
) -> None:
    measured: list[float] = []

    def first(method: str, fraction: float, seed: int) -> float | None:
        measured.append(falling(method, fraction, seed))
        return measured[-1] if len(measured) <= done else None

    text = write_report(write(tmp_path, methods, seeds=seeds, accuracy=first, images=noise))
    assert files(tmp_path) >= FILES
    assert ("masked_images.png" in files(tmp_path)) == (done > 0)
    assert text.startswith(f"{min(done, len(measured))} of {len(measured)} cell")


def test_written_again_it_is_the_same(tmp_path: Path) -> None:
    ledger = write(tmp_path, images=noise)
    texts, contents = [], []
    for _ in range(2):
        texts.append(write_report(ledger))
        pages = (path for path in (tmp_path / "report").iterdir() if path.suffix)
        contents.append({path.name: path.read_bytes() for path in pages})
    assert texts[0] == texts[1] and contents[0] == contents[1]
    assert files(tmp_path) == {*FILES, "masked_images.png"}


def test_two_at_once_wait_for_each_other(tmp_path: Path) -> None:
    ledger = write(tmp_path)
    with folder_lock(tmp_path / "report"):
        other = threading.Thread(target=write_report, args=[ledger])
        other.start()
        other.join(0.5)
        assert other.is_alive() and files(tmp_path) == {"lock"}
    other.join(60)
    assert files(tmp_path) == FILES


def test_a_report_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fullgrad_lightning.evaluation.roar.report.WAIT", 0.1)
    with folder_lock(tmp_path / "report"), pytest.raises(FolderInUse, match="in use by process"):
        write_report(write(tmp_path))


@pytest.mark.parametrize("renamed", [0, 1])
def test_killed_while_it_is_renamed(tmp_path: Path, renamed: int) -> None:
    """Before or between the two renamings of the folder for TensorBoard."""
    ledger = write(tmp_path, images=noise)
    write_report(ledger)
    board = tmp_path / "report" / "tensorboard"
    before = {path.relative_to(board) for path in board.rglob("events*")}
    program = (
        "import os; from fullgrad_lightning.evaluation.roar.grid_state import GridState\n"
        "from fullgrad_lightning.evaluation.roar.report import write_report\n"
        "replace, calls = os.replace, []\n"
        "def killed(source, target):\n"
        "    if 'tensorboard' in str(source):\n"
        f"        os._exit(9) if len(calls) == {renamed} else calls.append(source)\n"
        "    replace(source, target)\n"
        "os.replace = killed\n"
        f"write_report(GridState({str(tmp_path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    after = {path.relative_to(board) for path in board.rglob("events*")}
    assert after == (set() if renamed else before), "the whole old one, or none"
    write_report(ledger)
    assert {path.parent for path in board.rglob("events*")} == {board / p.parent for p in before}
    assert files(tmp_path) == {*FILES, "masked_images.png"}


def test_no_torch(tmp_path: Path) -> None:
    write(tmp_path, images=noise)
    program = (
        "import sys; from fullgrad_lightning.evaluation.roar.grid_state import GridState; "
        "from fullgrad_lightning.evaluation.roar.report import write_report; "
        f"write_report(GridState({str(tmp_path)!r})); "
        "print([name for name in ('torch', 'tensorflow', 'matplotlib.pyplot', 'scipy.stats') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert files(tmp_path) == {*FILES, "masked_images.png"}
