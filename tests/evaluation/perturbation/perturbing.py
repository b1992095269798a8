"""A small benchmark of pixel perturbation: drawn images, a small network with fixed weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from fullgrad_lightning.datamodules import ShapesDataModule

IMAGES, CLASSES, SIZE = 14, 8, 16
FRACTIONS, STEPS, ROAD_FRACTIONS = [0.1, 0.3], 3, [0.2, 0.6]


class SmallNet(nn.Module):
    """Its weights are the same whenever it is made."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.net = nn.Sequential(
                nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),
                nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, CLASSES),
            )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits


def images() -> ShapesDataModule:
    return ShapesDataModule(size=SIZE, train_size=8, val_size=4, test_size=IMAGES, batch_size=4)


def arguments(
    output: Path, *more: str, methods: tuple[str, ...] = ("fullgrad", "random")
) -> list[str]:
    """Of ``fullgrad perturb``, all scores."""
    return [
        "--model", "tests.evaluation.perturbation.perturbing.SmallNet",
        "--data", "ShapesDataModule",
        "--data.size", str(SIZE), "--data.train_size", "8", "--data.val_size", "4",
        "--data.test_size", str(IMAGES), "--data.batch_size", "4",
        "--methods", *methods, "--output", str(output),
        "--scores", "perturbation", "insertion_deletion", "road",
        "--fractions", *map(str, FRACTIONS), "--steps", str(STEPS),
        "--road_fractions", *map(str, ROAD_FRACTIONS),
        "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", *more,
    ]  # fmt: skip


def perturb(*options: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "fullgrad_lightning.cli", "perturb", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def table(output: Path) -> str:
    return (output / "report" / "results.csv").read_text()


class OtherNet(SmallNet):
    """With other weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            next(self.parameters()).mul_(2)
