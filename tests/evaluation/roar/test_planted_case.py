"""ROAR where the truth is known: the object's own mask in place of a saliency map."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

import fullgrad_lightning as fgl
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.models.texture_classifier import TextureClassifier
from fullgrad_lightning.stores.rank_store import RankStore


def images() -> fgl.ShapesDataModule:
    return fgl.ShapesDataModule(24, train_size=768, val_size=8, test_size=512, batch_size=32)


def planted(folder: Path, sign: int) -> Path:
    """Ranks: the object's pixels first (1), last (−1), or anywhere (0)."""
    data = fgl.ROARDataModule(images())
    data.setup("predict")
    base = data.base
    made_from = {"data": data.fingerprint}
    store = RankStore.create(folder, sizes=data.sizes, shape=(24, 24), made_from=made_from)
    for dataset, split in (
        (base.train_set, "train"),
        (base.val_set, "val"),
        (base.test_set, "test"),
    ):
        ids = torch.arange(len(dataset)) * 3 + len(split)
        store.write(split, range(len(dataset)), rank_pixels(sign * dataset.masks.float(), ids))
    store.finish()
    return folder


def accuracy(store: Path, fraction: float) -> float:
    """Of a network trained without those pixels, on test images without them."""
    pl.seed_everything(0, verbose=False)
    data, model = fgl.ROARDataModule(images(), store, fraction), TextureClassifier()
    trainer = pl.Trainer(
        max_epochs=8, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(model, data)
    (found,) = trainer.test(model, data, verbose=False)
    return found["test/accuracy"]


@pytest.mark.slow
def test_the_object_matters_and_the_background_does_not(tmp_path: Path) -> None:
    """The class is the object's texture; objects cover a fifth of an image."""
    stores = {
        name: planted(tmp_path / name, sign)
        for name, sign in (("object", 1), ("random", 0), ("background", -1))
    }
    assert accuracy(stores["object"], 0.2) < accuracy(stores["random"], 0.2) - 0.1
    assert accuracy(stores["background"], 0.8) > accuracy(stores["random"], 0.8) + 0.1
