"""A run on some processes, to be started as a command: what its monitor logged goes to a file.

python -m tests.callbacks.two_processes <devices> <folder>
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from fullgrad_lightning.callbacks.fullgrad_monitor.monitor import FullGradMonitor
from fullgrad_lightning.callbacks.pixel_perturbation_monitor import PixelPerturbationMonitor
from tests.callbacks.training import loader, module, trainer

VALIDATION_SAMPLES = 21  # odd: the distributed sampler pads it


def main(devices: int, root: Path) -> None:
    pl.seed_everything(7)
    monitor = FullGradMonitor(5, residual_samples=64, methods=["smoothgrad"])
    options = {"devices": devices, "precision": "64-true", "num_sanity_val_steps": 2}
    if devices > 1:
        options["strategy"] = "ddp"
    without = module().double()
    run = trainer(root / "without", max_epochs=2, **options)
    run.fit(without, loader(40), loader(VALIDATION_SAMPLES, batch_size=8 // devices))
    pl.seed_everything(7)
    model = module().double()
    run = trainer(
        root / "with",
        monitor,
        PixelPerturbationMonitor(),
        max_epochs=2,
        logger=CSVLogger(root),
        **options,
    )
    run.fit(model, loader(40), loader(VALIDATION_SAMPLES, batch_size=8 // devices))
    same = all(
        torch.equal(a, b)
        for a, b in zip(
            model.state_dict().values(), without.state_dict().values(), strict=True
        )
    )  # fmt: skip
    fixed = module().double()  # the same weights, however many processes trained before
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for value in fixed.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, dtype=value.dtype) + 0.1)
    fresh = FullGradMonitor(5, residual_samples=64)
    faithful = PixelPerturbationMonitor(num_samples=11, fill="noisy_linear")
    judge = trainer(root / "judge", fresh, faithful, **options)
    judge.validate(fixed, loader(VALIDATION_SAMPLES, batch_size=8 // devices), verbose=False)
    metrics = {key: float(value) for key, value in judge.callback_metrics.items()}
    result = {
        "identical": same,
        "logged": [
            key for key in run.callback_metrics if key.startswith(("fullgrad", "perturbation"))
        ],
        "metrics": metrics,
        "samples": fresh.state_dict()["watched"]["fullgrad"]["samples"],
        "maps": fresh.state_dict()["watched"]["fullgrad"]["maps"],
    }
    torch.save(result, root / f"rank{run.global_rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
