"""Overhead of SaliencyWriter over predicting saliency maps: with and without it, in turn.

    python -m benchmarks.saliency_writer [--images 600] [--size 32] [--method fullgrad]

The network is the 9-layer VGG of the paper with random weights, the images are drawn. Both
predictions run in turn (A B A B …), so that a machine that slows down slows both; the one that
writes makes a new store each time, fills it and completes it. The difference of two predictions
may drown in the noise of a shared machine: the time spent in the writer's own hooks is measured
too. Promised: at most 10 % over.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import pytorch_lightning as pl

import fullgrad_lightning as fgl
from benchmarks.monitor import timed
from fullgrad_lightning.callbacks import SaliencyWriter
from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
from fullgrad_lightning.models import SaliencyPredictor


def seconds(predictor: SaliencyPredictor, data: ROARDataModule, *writers: SaliencyWriter) -> float:
    """Seconds of one prediction of all splits."""
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        logger=False,
        callbacks=list(writers),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    start = time.perf_counter()
    trainer.predict(predictor, datamodule=data, return_predictions=False)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=600, help="a third in each split")
    parser.add_argument("--size", type=int, default=32, help="height and width")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--method", default="fullgrad", choices=fgl.saliency_methods())
    options = parser.parse_args()
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.ERROR)
    third = options.images // 3
    data = ROARDataModule(
        fgl.ShapesDataModule(options.size, third, third, third, batch_size=options.batch)
    )
    pl.seed_everything(0)
    network = fgl.vgg9(num_classes=8)
    predictor = SaliencyPredictor(network, options.method)
    seconds(predictor, data)  # imports, and what is allocated once
    ratios, shares = [], []
    print(f"{options.method} of {3 * third} images {options.size}×{options.size}:")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.repeats):
            alone = seconds(predictor, data)
            writer = SaliencyWriter(Path(folder, str(number)))
            hooks = timed(writer)
            written = seconds(predictor, data, writer)
            ratios.append(written / alone)
            shares.append(sum(hooks) / (written - sum(hooks)))
            print(
                f"{number}: maps alone {alone:.2f} s, written {written:.2f} s, ratio "
                f"{ratios[-1]:.3f}; in the writer {sum(hooks):.3f} s, {shares[-1]:.2%} of the rest",
                flush=True,
            )
    print(f"medians: ratio {statistics.median(ratios):.3f}, {statistics.median(shares):.2%}")


if __name__ == "__main__":
    main()
