"""Localisation of the evidence by all methods, on drawn images whose evidence is known.

    python -m benchmarks.localization [--seeds 0 1 2] [--write docs/localization.md]

The class is the texture of one object, and nothing else in the image has a texture. For each seed
images are drawn, and networks trained, two of which differ in their pooling alone; maps explain the
true class of 500 validation images.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import nn

import fullgrad_lightning as fgl
from benchmarks.documentation import versions, write_section
from fullgrad_lightning.datamodules.shapes.datamodule import ShapesDataset
from fullgrad_lightning.evaluation.reports.statistics import estimate
from fullgrad_lightning.evaluation.reports.tables import (
    Table,
    as_markdown,
    as_text,
    estimate_table,
    format_estimate,
)
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.models.texture_classifier import TextureClassifier
from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages

SIZES = {"train_size": 1000, "val_size": 500, "batch_size": 32}  # those of `fullgrad demo`
EPOCHS = 8
BATCH = 100
ACCURACY, COVERED = "accuracy", "chance: the object's share"
WHAT = ("energy", "pointing")
Numbers = dict[str, list[float]]  # by row of the table: a number for each seed


def max_pooled(num_classes: int) -> pl.LightningModule:
    """The network of ``fullgrad demo``."""
    return TextureClassifier(num_classes)


def mean_pooled(num_classes: int) -> pl.LightningModule:
    """The network of ``fullgrad demo`` with mean pooling instead of maximum pooling."""
    classifier = TextureClassifier(num_classes)
    place = next(i for i, m in enumerate(classifier.network) if isinstance(m, nn.AdaptiveMaxPool2d))
    classifier.network[place] = nn.AdaptiveAvgPool2d(1)
    return classifier


def vgg(num_classes: int) -> pl.LightningModule:
    """The network of the paper with a quarter of its channels: batch norm, and the mean too."""
    return fgl.ImageClassifier("vgg9", num_classes, model_options={"width": 16})


Build = Callable[[int], pl.LightningModule]
NETWORKS: dict[str, Build] = {"max": max_pooled, "mean": mean_pooled, "vgg9": vgg}


def methods() -> dict[str, SaliencyMethod]:
    """All methods with default options; FullGrad with three ψ."""
    found: dict[str, SaliencyMethod] = {}
    for name in fgl.saliency_methods():
        if name == "fullgrad":
            for psi in ("paper", "abs", "signed"):
                found[f"fullgrad, ψ {psi}"] = fgl.FullGrad(psi)
        elif name == "blurred":
            blurred = fgl.saliency_method(name, method="input_gradient", sigma=2.0)
            found["input_gradient, blurred"] = blurred
        else:
            found[name] = fgl.saliency_method(name)
    return found


def trained(build: Build, data: fgl.ShapesDataModule, epochs: int) -> tuple[nn.Module, float]:
    """A network, and its accuracy on the validation images."""
    classifier = build(data.num_classes)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, num_sanity_val_steps=0,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(classifier, data)
    return classifier.network.eval(), float(trainer.callback_metrics["val/accuracy"])


def scores(
    network: nn.Module, images: ShapesDataset, method: SaliencyMethod
) -> tuple[float, float]:
    """The share of energy on the object, and of maxima there, over all images."""
    energy, pointing = fgl.EnergyPointingGame(), fgl.PointingGame()
    for rows in torch.arange(len(images)).split(BATCH):
        x = torch.stack([images[int(i)].image for i in rows])
        ids = sample_ids("val", rows.tolist())
        maps = method(network, x, images.targets[rows], sample_ids=ids)
        energy.update(maps, images.masks[rows])
        pointing.update(maps, images.masks[rows])
    return float(energy.compute()), float(pointing.compute())


def measure(seeds: list[int], epochs: int) -> dict[str, Numbers]:
    """Numbers by column and row of the table, one for each seed."""
    found: dict[str, Numbers] = {}

    def note(column: str, row: str, value: float) -> None:
        found.setdefault(column, {}).setdefault(row, []).append(value)

    for seed in seeds:
        for kind, build in NETWORKS.items():
            pl.seed_everything(seed, verbose=False)
            data = fgl.ShapesDataModule(**SIZES, seed=seed)
            network, accuracy = trained(build, data, epochs)
            images = data.val_set
            assert isinstance(images, ShapesDataset)
            note(ACCURACY, kind, accuracy)
            for name, method in methods().items():
                for what, value in zip(WHAT, scores(network, images, method), strict=True):
                    note(f"{kind}: {what}", name, value)
            covered = float(images.masks.float().mean())
            for what in WHAT:
                note(f"{kind}: {what}", COVERED, covered)
            print(f"seed {seed}, {kind}: accuracy {accuracy:.3f}", flush=True)
    return found


def table(found: dict[str, Numbers]) -> Table:
    """A row for each method, in %."""
    columns = [column for column in found if column != ACCURACY]
    rows = [
        (row, [estimate(found[column][row]) for column in columns]) for row in found[columns[0]]
    ]
    return estimate_table(columns, rows, 1, scale=100)


def section(found: dict[str, Numbers], seeds: list[int], epochs: int) -> str:
    """The measured section of the page."""
    accuracies = ", ".join(
        f"{kind} {format_estimate(estimate(values), 1, scale=100)} %"
        for kind, values in found[ACCURACY].items()
    )
    return (
        f"Measured on {datetime.date.today()}: {len(seeds)} seeds, {epochs} epochs, "
        f"{SIZES['val_size']} images each, {versions()}, "
        f"{torch.get_num_threads()} thread(s) of an x86-64 CPU. "
        f"Validation accuracy: {accuracies}.\n\n"
        f"{as_markdown(table(found))}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--write", type=Path, help="also write the table into this page")
    options = parser.parse_args()
    with suppress_lightning_messages(
        (".*does not have many workers", "GPU available but not used")
    ):
        found = measure(options.seeds, options.epochs)
    print(as_text(table(found)))
    if options.write:
        write_section(options.write, "measured", section(found, options.seeds, options.epochs))


if __name__ == "__main__":
    main()
