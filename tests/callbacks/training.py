"""A small training with everything in it that a callback could disturb, and what it ends in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import pytorch_lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

CLASSES, SIZE = 4, 8


def data(n: int = 48, seed: int = 0) -> TensorDataset:
    """Images (3, SIZE, SIZE) whose class is a bright quadrant."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    images = torch.randn(n, 3, SIZE, SIZE, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        y, x = divmod(label, 2)
        image[:, y * 4 : y * 4 + 4, x * 4 : x * 4 + 4] += 2
    return TensorDataset(images, labels)


def network() -> nn.Sequential:
    """Dropout, batch norm, in-place operations, an implicit bias."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Dropout(0.3),
        nn.Conv2d(6, 8, 3, padding=1, stride=2),
        nn.SiLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, CLASSES),
    )


def module(lightning: Any = pytorch_lightning, **options: Any) -> Any:
    """A LightningModule of either namespace; ``seen`` holds a number for each training batch."""

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = network()
            self.seen: list[float] = []
            self.wrong_batch = options.get("wrong_batch", False)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

        def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
            # The batches that came, and the global generators' next numbers: order and randomness.
            self.seen += [float(batch[0].double().sum()), random.random(), numpy.random.rand()]
            loss = F.cross_entropy(self(batch[0]), batch[1])
            self.log("train/loss", loss)
            return loss

        def validation_step(self, batch: Sequence[Tensor], *_: int) -> None:
            self.log("val/loss", F.cross_entropy(self(batch[0]), batch[1]))

        def test_step(self, batch: Sequence[Tensor], *_: int) -> None:
            self.log("test/loss", F.cross_entropy(self(batch[0]), batch[1]))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), 1e-2)

    return Module()


def loader(n: int = 24, *, batch_size: int = 8, shuffle: bool = False, seed: int = 1) -> DataLoader:
    return DataLoader(data(n, seed), batch_size, shuffle=shuffle)


@dataclass
class Outcome:
    """All that a training leaves behind."""

    weights: dict[str, Tensor]
    optimizer: list[Tensor]
    random: list[Any]
    seen: list[float]
    trainer: Any = field(repr=False, default=None)


def trainer(root: Path, *callbacks: Any, lightning: Any = pytorch_lightning, **options: Any) -> Any:
    """A quiet Trainer on the CPU, with a CSV logger below ``root`` if none is given."""
    quiet = {
        "accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "logger": False,
        "enable_model_summary": False, "enable_checkpointing": False, "max_epochs": 2,
        "default_root_dir": root, "num_sanity_val_steps": 1,
    }  # fmt: skip
    return lightning.Trainer(callbacks=list(callbacks), **{**quiet, **options})


def train(
    root: Path, *callbacks: Any, lightning: Any = pytorch_lightning, compiled: bool = False,
    **options: Any,
) -> Outcome:  # fmt: skip
    """Trains from fixed seeds, with shuffled training and validation sets."""
    lightning.seed_everything(7)
    model = module(lightning)
    if compiled:
        model.net.compile(backend="aot_eager")
    run = trainer(root, *callbacks, lightning=lightning, **options)
    run.fit(model, loader(40, shuffle=True), loader(24, shuffle=True))
    state = run.optimizers[0].state_dict()["state"]
    return Outcome(
        {name: value.clone() for name, value in model.state_dict().items()},
        [value for entry in state.values() for value in entry.values()],
        [torch.get_rng_state(), random.getstate(), numpy.random.get_state()],
        model.seen,
        run,
    )


def assert_identical(got: Outcome, expected: Outcome) -> None:
    """Bit for bit."""
    assert got.weights.keys() == expected.weights.keys()
    assert all(torch.equal(got.weights[key], expected.weights[key]) for key in got.weights)
    assert len(got.optimizer) == len(expected.optimizer) > 0
    pairs = zip(got.optimizer, expected.optimizer, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert got.seen == expected.seen
    for a, b in zip(got.random, expected.random, strict=True):
        assert str(a) == str(b) if not isinstance(a, Tensor) else torch.equal(a, b)
