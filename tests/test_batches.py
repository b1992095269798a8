"""The same batches everywhere: where a callback or a mask finds images, models find them too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.datamodules import ROARDataModule
from fullgrad_lightning.evaluation.roar.config import GridConfig
from fullgrad_lightning.evaluation.roar.example_writer import write_examples
from fullgrad_lightning.evaluation.roar.preflight import preflight
from fullgrad_lightning.evaluation.roar.resolution import resolve_grid
from fullgrad_lightning.models import ImageClassifier, SaliencyPredictor
from tests.evaluation.roar.grids import options
from tests.models.test_saliency_predictor import Weighted

N, CLASSES = 6, 4
IMAGES = torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(N) % CLASSES


class LabelFirst(NamedTuple):
    label: Any
    image: Any


class Named(NamedTuple):
    image: Any
    label: Any
    mask: Any = 0


SAMPLES: dict[str, Callable[[Any, Any], Any]] = {
    "tuple": lambda image, label: (image, label),
    "list": lambda image, label: [image, label],
    "more": lambda image, label: (image, label, 0),
    "named tuple": lambda image, label: Named(image, label),
    "label first": lambda image, label: LabelFirst(label, image),
    "dict": lambda image, label: {"image": image, "label": label, "path": "a.png"},
    "Hugging Face": lambda image, label: {"labels": label, "pixel_values": image},
}
every_form = pytest.mark.parametrize("form", list(SAMPLES))


class Samples(Dataset[Any]):
    def __init__(self, form: str) -> None:
        self.form = form

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Any:
        return SAMPLES[self.form](IMAGES[index], int(LABELS[index]))


class Data(pl.LightningDataModule):
    """The same samples for each split."""

    def __init__(self, form: str = "tuple") -> None:
        super().__init__()
        self.form = form

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Samples(self.form), batch_size=3)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Samples(self.form), batch_size=3)


@every_form
def test_classifiers_train_on_them(form: str) -> None:
    model = ImageClassifier(num_classes=CLASSES, model_options={"width": 2}).eval()
    model.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    batch = next(iter(DataLoader(Samples(form), batch_size=N)))
    expected = cross_entropy(model(IMAGES), LABELS)
    torch.testing.assert_close(model.training_step(batch, 0), expected)
    torch.testing.assert_close(model.predict_step(batch, 0), model(IMAGES))


@every_form
@pytest.mark.parametrize("target", ["predicted", "label"])
def test_predictors_explain_them(form: str, target: Any) -> None:
    data = ROARDataModule(Data(form))
    data.setup("predict")
    predictor = SaliencyPredictor(Weighted(), "input_gradient", target=target)
    batch = next(iter(data.predict_dataloader()[0]))
    images, labels = IMAGES[:3], LABELS[:3]
    classes = labels if target == "label" else Weighted()(images).argmax(1)
    expected = 3 * (classes + 1.0)[:, None, None, None].expand(-1, 1, 8, 8)
    assert predictor.explained(batch, "train")["saliency"].equal(expected)


@every_form
def test_grids_take_them(form: str, tmp_path: Path) -> None:
    data = {"class_path": "tests.test_batches.Data", "init_args": {"form": form}}
    model = {"class_path": "ImageClassifier", "init_args": {"num_classes": CLASSES}}
    tmp_path.joinpath("grid").mkdir()
    grid = resolve_grid(GridConfig(**options(tmp_path / "grid", data=data, model=model)))
    assert preflight(grid, []).startswith("Saliency maps: 0 stores to compute")


@every_form
def test_examples_show_them(form: str, tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.npz", Data(form))
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as shown:
        assert shown["labels"].tolist() == LABELS.tolist()
        expected = (IMAGES * 255).round().byte().permute(0, 2, 3, 1)
        np.testing.assert_array_equal(shown["images"], expected)


@pytest.mark.parametrize("batch", [IMAGES, [IMAGES], {"image": IMAGES}])
def test_predictions_need_no_labels(batch: Any) -> None:
    model = ImageClassifier(num_classes=CLASSES, model_options={"width": 2}).eval()
    assert model.predict_step(batch, 0).equal(model(IMAGES))
    with pytest.raises(TypeError, match="Found no labels in a batch that is"):
        model.training_step(batch, 0)


@pytest.mark.parametrize("batch", [{"views": IMAGES}, ["a"], [], None])
def test_batches_without_images_are_described(batch: Any) -> None:
    model = ImageClassifier(num_classes=CLASSES, model_options={"width": 2})
    with pytest.raises(TypeError, match="Found no images in a batch that is"):
        model.predict_step(batch, 0)
