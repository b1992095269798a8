"""The ready files of ``fullgrad perturb`` run as they are, on a few images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fullgrad_lightning.cli import main
from tests.datamodules.fakes import write_folder

EXAMPLES = Path(__file__).parents[3] / "examples"
FEW = ["--samples", "2", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]


def test_vgg16_on_imagenets_folders(tmp_path: Path) -> None:
    """With random weights: those of torchvision would be downloaded."""
    write_folder(tmp_path, "val", n=2)
    output = tmp_path / "output"
    words = [
        "--config", str(EXAMPLES / "perturb_imagenet.yaml"), "--data.data_dir", str(tmp_path),
        "--model.weights", "null", "--data.num_workers", "0", "--output", str(output), *FEW,
        "--scores", "perturbation", "--methods", "fullgrad", "random",
    ]  # fmt: skip
    assert main(["perturb", *words]) == 0
    assert "2 images" in (output / "report" / "table.md").read_text()


def test_the_small_network_on_photographs(tmp_path: Path) -> None:
    if "FULLGRAD_DATA" not in os.environ:
        pytest.skip("FULLGRAD_DATA is not set: no photographs, no trained network")
    data = Path(os.environ["FULLGRAD_DATA"])
    words = [
        "--config", str(EXAMPLES / "perturb_mobilenet.yaml"), "--output", str(tmp_path),
        "--checkpoint", str(data / "mobilenetv1_025_imagenet.pt"),
        "--data.data_dir", str(data / "imagenet-1000"), "--steps", "2", *FEW,
    ]  # fmt: skip
    assert main(["perturb", *words]) == 0
    table = (tmp_path / "report" / "table.md").read_text()
    for method in ("fullgrad", "smoothgrad", "integrated\\_gradients", "gradcam", "random"):
        assert f"| {method} | 0." in table
