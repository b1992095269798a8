"""`fullgrad demo`: what it writes and what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


def run(folder: Path, *arguments: str) -> tuple[str, str]:
    """Standard output and standard error of a demo."""
    command = [sys.executable, "-m", "fullgrad_lightning.cli", "demo", "--output", str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def table(printed: str) -> list[list[str]]:
    """The cells of the table's rows: epoch, accuracy, energy inside the object, residual."""
    lines = printed.split("completeness residual\n")[1].split("\n\n")[0].splitlines()
    return [line.split() for line in lines]


def percent(cell: str) -> float:
    return float(cell.removesuffix("%")) / 100


def test_a_fast_demo(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    printed, noise = run(folder, "--fast")
    rows = table(printed)
    assert [row[0] for row in rows] == ["before", "0", "1"]
    assert all(0 < float(row[3]) < 1e-4 for row in rows)
    shown = [Path(line.strip()) for line in printed.splitlines() if line.endswith(".png")]
    assert len(shown) == 3 and shown[0].name == "film_strip.png"
    for path in shown:
        with Image.open(path) as picture:
            assert picture.width >= 400 and picture.height >= 700
    assert f"tensorboard --logdir '{folder}' --samples_per_plugin images=100" in printed
    assert "Epoch 1: 100%" in noise + printed, "a progress bar"
    for word in ("Warning", "warn", "deprecated", "Traceback", "GPU", "Tip"):
        assert word not in noise, noise


def test_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    first, again, other = (
        table(run(tmp_path / str(i), "--fast", "--epochs", "1", "--seed", seed)[0])
        for i, seed in enumerate(("3", "3", "4"))
    )
    assert first == again != other


@pytest.mark.slow
def test_it_learns_to_look_at_the_object(tmp_path: Path) -> None:
    rows = table(run(tmp_path)[0])
    before, after = rows[0], rows[-1]
    assert percent(before[1]) < 0.3 and percent(after[1]) > 0.9
    assert percent(after[2]) > percent(before[2]) + 0.2
