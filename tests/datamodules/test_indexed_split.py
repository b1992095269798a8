"""One split with row numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.datamodules import ImageFolderDataModule, ShapesDataModule
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.utilities.normalization import Normalization
from tests.datamodules.fakes import write_folder


def shapes(**options: Any) -> ShapesDataModule:
    return ShapesDataModule(
        size=16, train_size=8, val_size=5, test_size=20, batch_size=4, **options
    )


def ready(
    base: pl.LightningDataModule, split: str = "test", **options: Any
) -> IndexedSplitDataModule:
    data = IndexedSplitDataModule(base, split, **options)
    data.prepare_data()
    data.setup("predict")
    return data


def rows_of(data: IndexedSplitDataModule) -> list[int]:
    (loader,) = data.predict_dataloader()
    return [row for rows, _ in loader for row in rows.tolist()]


@pytest.mark.parametrize(("split", "size"), [("val", 5), ("test", 20), ("predict", 20)])
def test_samples_are_those_of_the_split(split: str, size: int) -> None:
    base = shapes()
    data = ready(base, split)
    assert data.splits == (split,) and data.sizes == {split: size}
    assert data.image_shape == (3, 16, 16) and rows_of(data) == list(range(size))
    (loader,) = data.predict_dataloader()
    rows, sample = next(iter(loader))
    expected = next(iter(getattr(base, f"{split}_dataloader")()))
    assert sample.image.equal(expected.image) and sample.label.equal(expected.label)
    assert rows.tolist() == [0, 1, 2, 3]
    assert base.train_set is None, "nothing else was set up"


def test_fewer_samples_are_spread_and_numbered_anew() -> None:
    every = ready(shapes())
    few = ready(shapes(), samples=3)
    assert few.sizes == {"test": 3} and rows_of(few) == [0, 1, 2]
    (some,), (all_of,) = few.predict_dataloader(), every.predict_dataloader()
    for row, place in enumerate([0, 10, 19]):  # numpy rounds 9.5 to even
        assert some.dataset[row][1].image.equal(all_of.dataset[place][1].image)  # type: ignore[index]
    assert few.fingerprint != every.fingerprint == ready(shapes()).fingerprint
    with pytest.raises(ValueError, match="20 samples in the test split, fewer than samples=21"):
        ready(shapes(), samples=21)


def test_only_rows_that_are_missing() -> None:
    data = ready(shapes())
    data.only_rows({"test": torch.tensor([3, 17])})  # type: ignore[dict-item]
    assert rows_of(data) == [3, 17]
    data.only_rows({"test": []})
    assert rows_of(data) == []
    data.only_rows({})
    assert len(rows_of(data)) == 20


def test_the_normalisation_is_bases_or_its_transforms(tmp_path: Path) -> None:
    base = shapes()
    assert ready(base).normalization == Normalization(base.mean, base.std)
    write_folder(tmp_path, "test", n=3)
    folder = ImageFolderDataModule(tmp_path, 16, mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    found = ready(folder)
    del folder.mean, folder.std
    assert found.normalization == Normalization((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert ready(Own(lambda i: torch.full((1, 4, 4), float(i)))).normalization is None


class Own(pl.LightningDataModule):
    """Test data only: (image, label)."""

    def __init__(self, image: Any, n: int = 6) -> None:
        super().__init__()
        self.dataset = Images(image, n)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.dataset, batch_size=2)


class Images(Dataset[Any]):
    def __init__(self, image: Any, n: int) -> None:
        self.image, self.n = image, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        return self.image(index), 0


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (lambda i: torch.rand(1, 4, 4), "not the same when it is fetched again"),
        (lambda i: torch.zeros(1, 4, 4 + i), r"sample 1 of the test split has \(1, 4, 5\)"),
    ],
)
def test_images_that_cannot_be_explained(image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        ready(Own(image))
    assert "ROARDataModule" not in str(caught.value)
    assert "must be the same every time, and of one size" in str(caught.value)


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="split must be one of"):
        IndexedSplitDataModule(shapes(), "train")
    with pytest.raises(ValueError, match="samples must be an integer ≥ 1, got 0"):
        IndexedSplitDataModule(shapes(), samples=0)
    with pytest.raises(ValueError, match="Own has no val_dataloader"):
        ready(Own(lambda i: torch.zeros(1, 4, 4)), "val")
    with pytest.raises(RuntimeError, match=r"call setup\(\) first"):
        IndexedSplitDataModule(shapes()).predict_dataloader()
