"""The examples, run as a user runs them, on small pictures and an untrained network."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

EXAMPLES = Path(__file__).parent.parent / "examples"
MOBILENET = f"{EXAMPLES / 'mobilenet_v1.py'}:mobilenet_v1_025"
# Quick ones; that all methods run is tested elsewhere.
METHODS = ("input_gradient", "gradcam", "fullgrad")


def imported(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two pictures that are not square and have nothing in common."""
    paths = [tmp_path / "wide.png", tmp_path / "high.png"]
    generator = torch.Generator().manual_seed(0)
    for path, size in zip(paths, ((60, 90), (100, 70)), strict=True):
        noise = torch.randint(256, (3, *size), dtype=torch.uint8, generator=generator)
        to_pil_image(noise).save(path)
    return paths


def drawn(path: Path) -> Tensor:
    return pil_to_tensor(Image.open(path).convert("RGB")).float()


def panels(picture: Tensor, rows: int, columns: int) -> list[Tensor]:
    """The middles of the cells of a picture's grid, text left out."""
    _, height, width = picture.shape
    h, w = height / rows, width / columns
    return [
        picture[:, int((r + 0.45) * h) :, int((c + 0.2) * w) :][:, : int(0.4 * h), : int(0.6 * w)]
        for r in range(rows)
        for c in range(columns)
    ]


def test_comparison_and_layers(tmp_path: Path, pictures: list[Path]) -> None:
    done = run(
        "compare_methods.py", *pictures, "--model", MOBILENET, "--methods", *METHODS,
        "--layers", "--n-layers", 3, "--resize", 72, "--size", 64, "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, rows, columns in (("compare_methods", 2, 4), ("layers", 2, 3)):
        figure = drawn(tmp_path / "out" / f"{name}.png")
        _, height, width = figure.shape
        assert width == columns * 140 and rows * 140 < height < rows * 200
        cells = panels(figure, rows, columns)
        assert all(cell.std() > 5 for cell in cells)
        apart = [(a - b).abs().mean() for i, a in enumerate(cells) for b in cells[:i]]
        assert min(apart) > 2


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
@pytest.mark.parametrize("wrapped", [False, True])
def test_checkpoint(tmp_path: Path, prefix: str, wrapped: bool) -> None:
    state = imported("mobilenet_v1").mobilenet_v1_025().state_dict()
    state = {key: value + 1 for key, value in state.items()}
    saved = {prefix + key: value for key, value in state.items()}
    torch.save({"state_dict": saved, "epoch": 3} if wrapped else saved, tmp_path / "c.pt")
    model = imported("compare_methods").load_model(MOBILENET, str(tmp_path / "c.pt"))
    loaded = model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_models_by_name(tmp_path: Path) -> None:
    load_model = imported("compare_methods").load_model
    assert type(load_model("squeezenet1_1", None)).__name__ == "SqueezeNet"
    by_module = load_model("torchvision.models:squeezenet1_1", None)
    torch.save(by_module.state_dict(), tmp_path / "c.pt")
    by_name = load_model("squeezenet1_1", str(tmp_path / "c.pt"))
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(by_name.eval()(x), by_module.eval()(x))
    with pytest.raises(SystemExit, match="must be a checkpoint file"):
        load_model(MOBILENET, str(tmp_path / "missing.pt"))
