"""``fullgrad demo``: trains a small network to recognise textures, with a monitor and a ROAR."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from fullgrad_lightning.cli.options import positive_int

OUTPUT = Path("fullgrad_demo")
EPOCHS, FAST_EPOCHS = 8, 2
ROAR_FRACTIONS, ROAR_EPOCHS, ROAR_FAST_EPOCHS = [0.15, 0.3], 8, 1
SIZES, FAST_SIZES = (1000, 500), (256, 64)  # images for training and validation
ROAR_SIZES = {"train_size": 1000, "val_size": 64, "test_size": 500}
ROAR_FAST_SIZES = {"train_size": 128, "val_size": 64, "test_size": 64}
# Messages of Lightning and torch that are expected here: the reason, and how the message begins.
_EXPECTED_MESSAGES = {
    "the CSV files are meant to lie beside TensorBoard's": "Experiment logs directory",
    "the CSVLogger writes PNGs, which TensorBoard does not": "Not every logger takes pictures",
    "drawn images are in memory: workers would slow it down": ".*does not have many workers",
    "the CPU is the default, and enough": "GPU available but not used",
    "Lightning's own use of torch": ".*LeafSpec.* is deprecated",
}


def add_parser(commands: Any) -> None:
    """Adds the parser of the command."""
    parser = commands.add_parser(
        "demo",
        help="train, monitor and evaluate a small network, in a minute or two",
        description="Trains a small network on generated images with a FullGradMonitor, prints "
        "where the figures are, and evaluates the saliency maps by remove-and-retrain (ROAR).",
    )
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="DIR", help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--epochs", type=positive_int, help=f"default: {EPOCHS}; with --fast {FAST_EPOCHS}"
    )
    parser.add_argument(
        "--accelerator", default="cpu", help="cpu, gpu, mps, auto, … (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--fast", action="store_true", help="a few seconds: too short to learn")
    parser.add_argument(
        "--no-roar", dest="roar", action="store_false", help="without retraining at the end"
    )


def run(options: argparse.Namespace) -> int:
    """Runs ``fullgrad demo`` with the options of ``add_parser``; returns 0."""
    from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages

    with suppress_lightning_messages(_EXPECTED_MESSAGES.values()):
        logs = _train(options)
        if options.roar:
            print(_run_roar(options, logs / "roar"))
    return 0


def _train(options: argparse.Namespace) -> Path:
    """Trains, prints the summary and returns the folder of the logs."""
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import TQDMProgressBar
    from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

    from fullgrad_lightning.callbacks import FullGradMonitor
    from fullgrad_lightning.cli.demo_summary import ValidationHistory, format_summary
    from fullgrad_lightning.datamodules import ShapesDataModule
    from fullgrad_lightning.datamodules.shapes.datamodule import ShapesDataset
    from fullgrad_lightning.models.texture_classifier import TextureClassifier

    started = time.monotonic()
    pl.seed_everything(options.seed, verbose=False)
    train_size, val_size = FAST_SIZES if options.fast else SIZES
    data = ShapesDataModule(
        train_size=train_size, val_size=val_size, seed=options.seed, batch_size=32
    )
    model = TextureClassifier(data.num_classes)
    board = TensorBoardLogger(options.output, name="")
    # Not rescaled: brighter maps are stronger.
    monitor = FullGradMonitor(target="label", postprocess="abs")
    history = ValidationHistory()
    trainer = pl.Trainer(
        max_epochs=options.epochs or (FAST_EPOCHS if options.fast else EPOCHS),
        accelerator=options.accelerator,
        devices=1,
        logger=[board, CSVLogger(options.output, name="", version=board.version)],
        callbacks=[monitor, history, TQDMProgressBar(refresh_rate=8, leave=True)],
        log_every_n_steps=8,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.validate(model, data, verbose=False)  # the first picture: nothing is learnt yet
    trainer.fit(model, data)
    assert isinstance(data.val_set, ShapesDataset)
    covered = data.val_set.masks.float().mean().item()
    logs, seconds = Path(board.log_dir), time.monotonic() - started
    print(format_summary(history, covered, logs, options.output, seconds), flush=True)
    return logs


def _run_roar(options: argparse.Namespace, folder: Path) -> str:
    """Compares FullGrad with random pixels on the images of the demo, with one seed."""
    from fullgrad_lightning.evaluation.roar.config import GridConfig
    from fullgrad_lightning.evaluation.roar.grid_state import GridState
    from fullgrad_lightning.evaluation.roar.report import write_report
    from fullgrad_lightning.evaluation.roar.resolution import resolve_grid
    from fullgrad_lightning.evaluation.roar.scheduler import run_grid

    sizes = ROAR_FAST_SIZES if options.fast else ROAR_SIZES
    grid = GridConfig(
        methods={"fullgrad": {"options": {"postprocess": "abs"}}, "random": {}},
        fractions=ROAR_FRACTIONS[-1:] if options.fast else ROAR_FRACTIONS,
        seeds=[options.seed],
        target="label",
        data={
            "class_path": "fullgrad_lightning.ShapesDataModule",
            "init_args": {**sizes, "batch_size": 32, "seed": options.seed},
        },
        model={"class_path": "fullgrad_lightning.models.texture_classifier.TextureClassifier"},
        trainer={
            "max_epochs": ROAR_FAST_EPOCHS if options.fast else ROAR_EPOCHS,
            "accelerator": options.accelerator,
            "log_every_n_steps": 8,
        },
        output=str(folder),
    )
    jobs = 2 if options.accelerator == "cpu" and (os.cpu_count() or 1) > 1 else 1
    succeeded = run_grid(resolve_grid(grid), jobs=jobs)
    failure = "" if succeeded else f"\nSome cells failed; see fullgrad roar status {folder}\n"
    return f"""\
Do the maps show what the network uses? Networks were trained again without the most salient pixels,
and without random ones. If salient pixels matter, accuracy falls below that of random:

{write_report(GridState(folder))}

The curves, and the images without their pixels:
  {folder / "report" / "accuracy.png"}
  {folder / "report" / "masked_images.png"}
{failure}"""
