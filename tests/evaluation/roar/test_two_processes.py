"""A cell on two devices, which is a command like any other: gloo, two processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from fullgrad_lightning.evaluation.roar.jobs import CELLS, Job
from fullgrad_lightning.evaluation.roar.worker import STARTED
from tests.evaluation.roar import grids
from tests.evaluation.roar.planted import KILL, AugmentedShapes, DropoutNet
from tests.evaluation.roar.processes import assert_gone


def start(folder: Path, kill: str = "") -> subprocess.Popen[bytes]:
    asked = folder.parent / f"{folder.name}.kill"
    asked.write_text(kill)
    return subprocess.Popen(
        [sys.executable, "-m", "fullgrad_lightning.evaluation.roar.train_job", str(folder)],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", KILL: str(asked), STARTED: str(time.time())},
    )  # fmt: skip


def test_killed_and_resumed_and_tested_as_by_one_process(tmp_path: Path) -> None:
    folder = tmp_path / CELLS / "reference"
    description = {
        "label": {"method": "reference", "fraction": 0.0, "seed": 0},
        "identity": "",
        "data": {"class_path": "tests.evaluation.roar.planted.AugmentedShapes",
                 "init_args": {"num_workers": 0}},
        "model": {"class_path": "tests.evaluation.roar.planted.DropoutNet"},
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "devices": 2, "strategy": "ddp"},
        "masking": None,
    }  # fmt: skip
    Job(folder, description).write()

    process = start(folder, kill="cell reference 1 1")
    assert process.wait(200) == -9
    assert_gone(process.pid, seconds=5)
    saved = torch.load(folder / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 0 and saved["global_step"] == 2, "64 samples, 2 × 16 in a step"

    assert start(folder).wait(200) == 0
    result = grids.read(folder / "result.json")
    model = DropoutNet()
    model.load_state_dict(torch.load(folder / "last.ckpt", weights_only=True)["state_dict"])
    alone = pl.Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False)
    (metrics,) = alone.test(model, AugmentedShapes(num_workers=0), verbose=False)
    assert result["test_accuracy"] == metrics["test_acc"]
    assert result["test_loss"] == pytest.approx(metrics["test_loss"], rel=1e-6)
    assert result["epochs"] == 2
