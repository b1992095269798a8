"""Two processes on gloo write the ranks that one does, and share out the masked images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.stores.rank_store import RankStore
from tests.callbacks import two_processes_roar
from tests.callbacks.estimating import SIZES, Failing, contents, estimate, images

Results = dict[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roar")


@pytest.fixture(scope="module")
def results(root: Path) -> Results:
    for devices in (1, 2):
        (root / str(devices)).mkdir()
        with pytest.raises(RuntimeError, match="in the middle"):
            estimate(root / str(devices) / "partial", Failing(8))  # one row is left
    two_processes_roar.main(1, root / "1")
    command = [sys.executable, "-m", "tests.callbacks.two_processes_roar", "2", str(root / "2")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found = {}
    for devices in (1, 2):
        files = sorted((root / str(devices)).glob("rank*.pt"))
        assert len(files) == devices
        found[devices] = [torch.load(file, weights_only=True) for file in files]
    return found


def test_the_same_files(results: Results, root: Path) -> None:
    expected = contents(root / "1" / "store")
    assert len(expected) == len(SIZES)
    for folder in (root / "1", root / "2"):
        for store in ("store", "partial"):
            assert contents(folder / store) == expected
            RankStore.open(folder / store).verify()


def test_each_row_is_computed_once(results: Results) -> None:
    (one,), (first, second) = results[1], results[2]
    assert sorted(first["computed"] + second["computed"]) == sorted(one["computed"])
    per_loader = [[loader for loader, _ in result["computed"]] for result in (first, second)]
    assert [rows.count(2) for rows in per_loader] == [4, 3]  # of 3 at a time: 2 batches and 1


def test_fewer_rows_than_processes(results: Results) -> None:
    (one,), two = results[1], results[2]
    assert one["rest"] == two[0]["rest"] == two[1]["rest"] == [(2, 6)]


def test_together_they_train_on_each_masked_image_once(results: Results, root: Path) -> None:
    masked = images(store=root / "1" / "store")
    masked.setup("fit")
    dataset = masked.train_dataloader().dataset
    expected = torch.stack([dataset[row][0] for row in range(SIZES["train"])])
    assert in_order(results[1][0]["seen"]).equal(in_order(expected))
    parts = [result["seen"] for result in results[2]]
    assert [len(part) for part in parts] == [SIZES["train"] // 2] * 2
    assert in_order(torch.cat(parts)).equal(in_order(expected))


def in_order(images: Tensor) -> Tensor:
    """Images in an order that does not depend on how they came."""
    rows = sorted(images.flatten(1).tolist())
    return torch.tensor(rows)
