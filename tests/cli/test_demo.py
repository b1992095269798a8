"""`fullgrad demo`: what it writes and what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fullgrad_lightning.cli import main


def table(printed: str) -> list[list[str]]:
    """The cells of the table's rows: epoch, accuracy, energy inside the object, residual."""
    lines = printed.split("completeness residual\n")[1].split("\n\n")[0].splitlines()
    return [line.split() for line in lines]


def percent(cell: str) -> float:
    return float(cell.removesuffix("%")) / 100


def test_a_fast_demo(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    command = [sys.executable, "-m", "fullgrad_lightning.cli", "demo", "--fast", "--output"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed, noise = done.stdout, done.stderr
    rows = table(printed)
    assert [row[0] for row in rows] == ["before", "0", "1"]
    assert all(0 < float(row[3]) < 1e-4 for row in rows)
    shown = [Path(line.strip()) for line in printed.splitlines() if line.endswith(".png")]
    assert [path.name for path in shown[:1]] == ["film_strip.png"]
    curves = folder / "version_0" / "roar" / "report" / "accuracy.png"
    assert curves in shown and curves.is_file()
    for path in shown[:3]:
        with Image.open(path) as picture:
            assert picture.width >= 400 and picture.height >= 700
    assert f"tensorboard --logdir '{folder}' --samples_per_plugin images=100" in printed
    assert "Epoch 1: 100%" in noise + printed, "a progress bar"
    for word in ("Warning", "warn", "deprecated", "Traceback", "GPU", "Tip"):
        assert word not in noise, noise


def test_the_same_seed_learns_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = []
    for i, seed in enumerate(("3", "3", "4")):
        options = ["--no-roar", "--epochs", "1", "--seed", seed, "--output", str(tmp_path / str(i))]
        assert main(["demo", "--fast", *options]) == 0
        tables.append(table(capsys.readouterr().out))
    assert tables[0] == tables[1]
    assert tables[0] != tables[2]


@pytest.mark.slow
def test_it_learns_to_look_at_the_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--no-roar", "--output", str(tmp_path)]) == 0
    before, *_, after = table(capsys.readouterr().out)
    assert percent(before[1]) < 0.3 and percent(after[1]) > 0.9
    assert percent(after[2]) > percent(before[2]) + 0.2
