"""``fullgrad demo``: a small network learns which texture an object has, is watched, and judged."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from fullgrad_lightning.callbacks import FullGradMonitor
from fullgrad_lightning.cli.demo_roar import demo_roar
from fullgrad_lightning.cli.demo_summary import History, report
from fullgrad_lightning.datamodules import ShapesDataModule
from fullgrad_lightning.datamodules.shapes.datamodule import ShapesDataset
from fullgrad_lightning.models.texture_classifier import TextureClassifier
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages

EPOCHS, FAST_EPOCHS = 8, 2
# What Lightning and torch say that is of no consequence here: why, and how the message begins.
_KNOWN = {
    "the CSV files are meant to lie beside TensorBoard's": "Experiment logs directory",
    "that is what the CSVLogger is for: to have PNGs": "Not every logger takes pictures",
    "drawn images are in memory: workers would slow it down": ".*does not have many workers",
    "the CPU is the default, and enough": "GPU available but not used",
    "Lightning's own use of torch": ".*LeafSpec.* is deprecated",
}


def demo(options: argparse.Namespace) -> None:
    """Trains, and prints what to look at.

    Args:
        options: ``output``, ``epochs``, ``accelerator``, ``seed``, ``fast`` and ``roar``, see
            ``parser``.
    """
    started = time.monotonic()
    pl.seed_everything(options.seed, verbose=False)
    train_size, val_size = (256, 64) if options.fast else (1000, 500)
    data = ShapesDataModule(
        train_size=train_size, val_size=val_size, seed=options.seed, batch_size=32
    )
    model = TextureClassifier(data.num_classes)
    board = TensorBoardLogger(options.output, name="")
    history = History()
    with suppress_lightning_messages(_KNOWN.values()):
        trainer = pl.Trainer(
            max_epochs=options.epochs or (FAST_EPOCHS if options.fast else EPOCHS),
            accelerator=options.accelerator,
            devices=1,
            logger=[board, CSVLogger(options.output, name="", version=board.version)],
            callbacks=[
                FullGradMonitor(
                    target="label", postprocess="abs"
                ),  # not rescaled: strong is bright
                history,
                TQDMProgressBar(refresh_rate=8, leave=True),
            ],
            log_every_n_steps=8,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        trainer.validate(model, data, verbose=False)  # before anything is learnt
        trainer.fit(model, data)
    assert isinstance(data.val_set, ShapesDataset)
    covered = data.val_set.masks.float().mean().item()
    seconds = time.monotonic() - started
    print(report(history, covered, Path(board.log_dir), options.output, seconds), flush=True)
    if options.roar:
        with suppress_lightning_messages(_KNOWN.values()):
            print(demo_roar(options, Path(board.log_dir) / "roar"))
