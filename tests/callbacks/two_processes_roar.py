"""Estimate, mask and train on some processes, to be started as a command.

python -m tests.callbacks.two_processes_roar <devices> <folder>
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tests.callbacks.estimating import estimate, images
from tests.callbacks.training import CLASSES, network, trainer


class Learner(pl.LightningModule):
    """Keeps every training image that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()
        self.seen: list[Tensor] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.seen.append(batch[0])
        return cross_entropy(self.net(batch[0]), batch[1] % CLASSES)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


def main(devices: int, root: Path) -> None:
    options: dict[str, Any] = {"devices": devices}
    if devices > 1:
        options["strategy"] = "ddp"
    computed = estimate(root / "store", **options)
    rest = estimate(root / "partial", **options)
    learner = Learner()
    run = trainer(root, max_epochs=1, **options)
    run.fit(learner, datamodule=images(store=root / "store"))
    result = {"computed": computed, "rest": rest, "seen": torch.cat(learner.seen)}
    torch.save(result, root / f"rank{run.global_rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
