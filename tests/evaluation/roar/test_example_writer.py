"""Images in examples.npz: their colours before normalisation, also for a user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
from fullgrad_lightning.datamodules.shapes.datamodule import ShapesDataModule
from fullgrad_lightning.evaluation.roar.example_writer import write_examples
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.visualization import unnormalized
from tests.evaluation.roar.own_data import OwnImages


def test_images_are_unnormalised_by_their_own_transform(tmp_path: Path) -> None:
    data = OwnImages()
    data.setup()
    write_examples(tmp_path / "examples.npz", data)
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as shown:
        np.testing.assert_array_equal(shown["images"], data.test.images[shown["indices"]])


class Bands(pl.LightningDataModule):
    """Images of any number of channels, normalised."""

    mean, std = 0.5, 0.25

    def __init__(self, channels: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.images = 2 * torch.rand(12, channels, 8, 8, generator=generator)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.images, torch.arange(12)), 4)


@pytest.mark.parametrize("channels", [2, 4, 13])
def test_other_channels_than_three_are_grey(tmp_path: Path, channels: int) -> None:
    data = Bands(channels)
    write_examples(tmp_path / "examples.npz", data)
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as shown:
        pictures = unnormalized(data.images[shown["indices"]], data.mean, data.std)
        expected = (255 * pictures).round().permute(0, 2, 3, 1).numpy()
        np.testing.assert_array_equal(shown["images"], expected)


def test_classes_by_name_where_they_have_names(tmp_path: Path) -> None:
    data = ShapesDataModule(16, train_size=8, val_size=8, test_size=12)
    data.setup("test")
    write_examples(tmp_path / "examples.npz", data)
    assert data.test_set is not None
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as shown:
        assert shown["indices"].tolist() == [0, 2, 4, 6, 8, 10]
        expected = [data.class_names[data.test_set[i].label] for i in shown["indices"]]
        assert shown["names"].tolist() == expected
    own = OwnImages()
    own.setup()
    write_examples(tmp_path / "own.npz", own)
    with np.load(tmp_path / "own.npz", allow_pickle=False) as shown:
        assert "names" not in shown


def test_masked_images_too(tmp_path: Path) -> None:
    base = OwnImages()
    sizes = {"train": 64, "val": 8, "test": 61}
    store = RankStore.create(tmp_path / "maps", sizes=sizes, shape=(16, 16), made_from={})
    for split, size in sizes.items():
        ranks = np.tile(np.arange(256).reshape(16, 16), (size, 1, 1))
        store.write(split, np.arange(size), ranks)
    store.finish()
    data = ROARDataModule(base, tmp_path / "maps", 0.5, fill="black")
    data.setup("test")
    write_examples(tmp_path / "examples.npz", data)
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as shown:
        expected = base.test.images[shown["indices"]].copy()
        expected[:, :8] = 0
        np.testing.assert_array_equal(shown["images"], expected)
