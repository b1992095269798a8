"""The end of ``fullgrad demo``: a small ROAR, which asks whether the explanation is true."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fullgrad_lightning.evaluation.roar.config import GridConfig
from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.evaluation.roar.report import write_report
from fullgrad_lightning.evaluation.roar.scheduler import run_grid

FRACTIONS, EPOCHS, FAST_EPOCHS = [0.15, 0.3], 8, 1
SIZES = {"train_size": 1000, "val_size": 64, "test_size": 500}
FAST_SIZES = {"train_size": 128, "val_size": 64, "test_size": 64}


def demo_roar(options: argparse.Namespace, folder: Path) -> str:
    """Runs FullGrad against random pixels on the images of the demo: two fractions, one seed.

    Args:
        options: Those of ``demo``.
        folder: Of the grid; what is done in it already is not done again.

    Returns:
        The text to print.
    """
    grid = GridConfig(
        methods={"fullgrad": {"options": {"postprocess": "abs"}}, "random": {}},
        fractions=FRACTIONS[-1:] if options.fast else FRACTIONS,
        seeds=[options.seed],
        target="label",
        data={
            "class_path": "fullgrad_lightning.ShapesDataModule",
            "init_args": {
                **(FAST_SIZES if options.fast else SIZES), "batch_size": 32, "seed": options.seed,
            },
        },
        model={"class_path": "fullgrad_lightning.models.texture_classifier.TextureClassifier"},
        trainer={
            "max_epochs": FAST_EPOCHS if options.fast else EPOCHS,
            "accelerator": options.accelerator,
            "log_every_n_steps": 8,
        },
        output=str(folder),
    )  # fmt: skip
    two_at_a_time = 2 if options.accelerator == "cpu" and (os.cpu_count() or 1) > 1 else 1
    well = run_grid(grid, jobs=two_at_a_time)
    lead = (
        "Is the explanation true? Networks were trained anew without the pixels that it names,\n"
        "and without random ones. If those pixels mattered, accuracy falls below that of random:"
    )
    told = write_report(GridState(folder))
    look = (
        "Look at the curves, and at what was taken away:\n"
        f"  {folder / 'report' / 'accuracy.png'}\n  {folder / 'report' / 'masked_images.png'}"
    )
    trouble = "" if well else f"\nSome of it failed; see fullgrad roar status {folder}\n"
    return f"{lead}\n\n{told}\n\n{look}\n{trouble}"
