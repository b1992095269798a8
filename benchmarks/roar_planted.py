"""ROAR with known ground truth: the object's own mask in place of a saliency map.

    python -m benchmarks.roar_planted [--output runs/roar_planted] [--jobs 2]

On images whose class is the object's texture, pixels of the object must cost more accuracy than
random ones, and those of the background (the mask inverted) less. On images whose class is the
object's silhouette the same removal leaves the class in the shape of the hole: ROAR's known
failure, which the series ``…_mask_only`` shows, trained on the holes alone. It prints two
tables, and can be interrupted and run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

import fullgrad_lightning as fgl
from fullgrad_lightning.datamodules.shapes.datamodule import ShapesDataset
from fullgrad_lightning.evaluation.roar.config import GridConfig, ResolvedGrid
from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.evaluation.roar.report import write_report
from fullgrad_lightning.evaluation.roar.resolution import resolve_grid
from fullgrad_lightning.evaluation.roar.scheduler import run_grid
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.stores.rank_store import RankStore

SIZES = {"train_size": 2000, "val_size": 64, "test_size": 1000}
NETWORK = "fullgrad_lightning.models.texture_classifier.TextureClassifier"


def planted_store(folder: Path, base: fgl.ShapesDataModule, sign: int) -> str:
    """Stores ranks: the objects' pixels before all others (``sign`` 1), or after them (−1)."""
    data = fgl.ROARDataModule(base)
    data.setup("predict")
    sets = {"train": base.train_set, "val": base.val_set, "test": base.test_set}
    made_from = {"data": data.fingerprint, "method": "object mask", "sign": sign}
    shape = data.image_shape[1:]
    store = RankStore.create(folder, sizes=data.sizes, shape=shape, made_from=made_from)
    if not store.complete:
        for number, (split, dataset) in enumerate(sets.items()):
            assert isinstance(dataset, ShapesDataset)
            ids = torch.arange(len(dataset)) * len(sets) + number
            store.write(split, range(len(dataset)), rank_pixels(sign * dataset.masks.float(), ids))
        store.finish()
    return str(folder)


def make_grid(output: Path, class_by: str, seeds: list[int]) -> ResolvedGrid:
    """Makes the grid of one kind of class."""
    options: dict[str, Any] = {**SIZES, "class_by": class_by, "batch_size": 32}
    base = fgl.ShapesDataModule(**options)
    stores = {
        name: planted_store(output / f"planted_{class_by}" / name, base, sign)
        for name, sign in (("object", 1), ("background", -1))
    }
    grid = GridConfig(
        methods={
            "object": {"store": stores["object"]},
            "background": {"store": stores["background"]},
            "random": {},
            "object_mask_only": {"store": stores["object"], "mask_only": True},
        },
        fractions=[0.15, 0.3, 0.8],
        seeds=seeds,
        data={"class_path": "fullgrad_lightning.ShapesDataModule", "init_args": options},
        model={"class_path": NETWORK, "init_args": {"num_classes": base.num_classes}},
        trainer={"max_epochs": 8, "accelerator": "cpu", "log_every_n_steps": 8},
        output=str(output / class_by),
    )
    return resolve_grid(grid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/roar_planted"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    for class_by in ("texture", "shape"):
        grid = make_grid(options.output, class_by, options.seeds)
        run_grid(grid, jobs=options.jobs)
        print(f"The class is the object's {class_by}:\n\n{write_report(GridState(grid.output))}")


if __name__ == "__main__":
    main()
