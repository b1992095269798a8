"""Two processes on gloo log what one does: one grid, the same numbers, the same samples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    found = {}
    for devices in (1, 2):
        root = tmp_path_factory.mktemp(f"devices{devices}")
        command = [sys.executable, "-m", "tests.callbacks.two_processes", str(devices), str(root)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=240, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        files = sorted(root.glob("rank*.pt"))
        assert len(files) == devices
        found[devices] = [torch.load(file, weights_only=True) for file in files]
        found[devices][0]["pictures"] = sorted(
            re.sub(r"_step\d+", "", str(path.relative_to(root))) for path in root.rglob("*.png")
        )
    return found


def test_training_is_bit_identical_with_and_without(results: dict[int, Any]) -> None:
    assert all(result["identical"] for processes in results.values() for result in processes)


def test_the_same_numbers_in_every_process_and_as_one_process(results: dict[int, Any]) -> None:
    (one,), two = results[1], results[2]
    assert two[0]["logged"] == two[1]["logged"] == one["logged"]
    for result in two:
        assert result["metrics"].keys() == one["metrics"].keys()
        for key, value in one["metrics"].items():
            if key == "val/loss":  # not synchronised, and Lightning's
                continue
            if "residual" in key:  # rounding: its size, not its digits
                assert 0 < result["metrics"][key] < 1e-12 and value < 1e-12
            else:
                assert result["metrics"][key] == pytest.approx(value, rel=1e-6)


def test_the_same_samples_and_maps(results: dict[int, Any]) -> None:
    (one,), (first, second) = results[1], results[2]
    for name, value in one["samples"].items():
        assert torch.equal(first["samples"][name], value)
        assert torch.equal(second["samples"][name], value)
    torch.testing.assert_close(first["maps"], one["maps"])
    assert second["maps"] is None


def test_one_grid(results: dict[int, Any]) -> None:
    (one,), (first, _) = results[1], results[2]
    assert first["pictures"] == one["pictures"]
    assert sum("samples" in path for path in first["pictures"]) == 3  # one a validation
