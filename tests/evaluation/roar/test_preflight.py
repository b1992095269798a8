"""Wrong grids are refused before anything is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullgrad_lightning.cli import main
from fullgrad_lightning.stores.rank_store import RankStore
from tests.evaluation.roar import grids

PLANTED = "tests.evaluation.roar.planted"
DATA = {
    "class_path": f"{PLANTED}.AugmentedShapes",
    "init_args": {"num_workers": 0},
}
MODEL = f"{PLANTED}.DropoutNet"


def refused(output: Path, capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    config = grids.write_config(output, **{"data": DATA, **changes})
    assert main(["roar", "run", "--config", str(config)]) == 2
    assert not (output / "cells").exists() and not (output / "grid.json").exists()
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    return shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": {"fulgrad": {}}}, "Did you mean 'fullgrad'?"),
        ({"methods": {"smoothgrad": {"options": {"samples": 3}}}}, "no option 'samples'"),
        ({"fractions": [0.5, 2.0]}, "fractions must be a share of the pixels, 0…1, got 2.0"),
        ({"trainer": {"max_epoch": 1}}, "trainer.max_epochs is missing"),
        ({"fraction": [0.5]}, "no key 'fraction'. Did you mean 'fractions'? There are: methods,"),
        ({"modell": {"class_path": MODEL}}, "Did you mean 'model'?"),
        ({"model": {"class_path": "NoSuchModel"}}, "NoSuchModel"),
        ({"model": {"class_path": "nowhere.Net"}}, "Is the folder of that module on PYTHONPATH?"),
        ({"model": {"class_path": MODEL + "t"}}, f"model.class_path '{MODEL}t': module"),
        ({"data": {"class_path": "tests.evaluation.roar.own_data.OwnImages"},
          "model": {"class_path": MODEL, "init_args": {"num_classes": 3}}},
         "3 logits, but the test images of OwnImages have labels up to 7"),
        ({"model": {"class_path": MODEL, "init_args": {"classes": 2}}}, "classes"),
        ({"model": {"class_path": MODEL, "init_args": {"num_classes": 3}}}, "3 logits, but"),
        ({"model": {"class_path": f"{PLANTED}.NoAccuracy"}}, "logs no test accuracy"),
        ({"trainer": {"max_epochs": 1, "epochs": 3}}, "epochs"),
        ({"data": {"class_path": "FashionMNISTDataModule",
                   "init_args": {"data_dir": "missing", "download": False}}}, "missing"),
        ({"methods": {"mine": {"store": "missing"}}}, "missing"),
        ({"reference": "missing.ckpt"}, "missing.ckpt"),
    ],
)  # fmt: skip
def test_refused(
    changes: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(tmp_path / "grid", capsys, **changes)


@pytest.mark.parametrize(
    ("shape", "sizes", "finish", "message"),
    [
        ((8, 8), {"train": 64, "val": 8, "test": 61}, True, "(8, 8)"),
        ((16, 16), {"train": 63, "val": 8, "test": 61}, True, "63"),
        ((16, 16), {"train": 64, "val": 8, "test": 61}, False, "train"),
    ],
)
def test_stores_that_do_not_fit(
    shape: tuple[int, int], sizes: dict[str, int], finish: bool, message: str,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    store = RankStore.create(tmp_path / "mine", sizes=sizes, shape=shape, made_from={})
    if finish:
        pixels = shape[0] * shape[1]
        for split, size in sizes.items():
            ranks = np.tile(np.arange(pixels).reshape(shape), (size, 1, 1))
            store.write(split, np.arange(size), ranks)
        store.finish()
    methods = {"mine": {"store": str(tmp_path / "mine")}}
    assert message in refused(tmp_path / "grid", capsys, methods=methods)


def test_an_output_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grid").touch()
    shown = refused(tmp_path / "grid", capsys)
    assert "Cannot write to the output" in shown and "Choose another" in shown


def test_no_room_for_the_maps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 50_000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    shown = refused(tmp_path / "grid", capsys)
    # (64 + 8 + 61) rows of 256 ranks of two bytes, and one byte that tells a row is there
    assert f"{133 * 513 / 1e6:.3g} MB" in shown and "0.05 MB are free" in shown


def test_the_ledger_is_resolved(uninterrupted: Path) -> None:
    """Defaults are written out, so that they may be in the file or not."""
    config = json.loads((uninterrupted / "grid.json").read_text())["config"]
    assert config["data"]["init_args"] == {"train_size": 64, "num_workers": 2}
    assert config["model"]["init_args"]["num_classes"] == 8
    assert config["trainer"] == {"max_epochs": 2, "accelerator": "cpu", "devices": 1,
                                 "log_every_n_steps": 1}  # fmt: skip
