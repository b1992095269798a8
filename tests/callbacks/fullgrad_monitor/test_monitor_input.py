"""FullGradMonitor: which batches and outputs it reads, and what it says of those it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.callbacks.fullgrad_monitor.monitor import FullGradMonitor
from tests.callbacks.fullgrad_monitor.test_monitor import WithMasks, numbers, watched
from tests.callbacks.training import CLASSES, data, loader, module, trainer


class Dicts(Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        image, label = data(8)[i]
        return {"label": label, "image": image}


def test_batches_of_other_forms(tmp_path: Path) -> None:
    for dataset in (Dicts(), WithMasks()):
        model = module()
        model.validation_step = lambda *_: None
        monitor = FullGradMonitor(3, target="label")
        trainer(tmp_path, monitor).validate(model, DataLoader(dataset, 4), verbose=False)
        assert len(watched(monitor)["labels"]) == 3 and (watched(monitor)["labels"] >= 0).all()


def test_a_strange_batch_or_output_is_named_with_the_method_to_override(tmp_path: Path) -> None:
    def collate(samples: Sequence[Any]) -> dict[str, Any]:
        images = torch.stack([image for image, _ in samples])
        return {"views": [images, images], "id": "a"}

    model = module()
    model.validation_step = lambda *_: None
    val = DataLoader(data(8), 4, collate_fn=collate)
    run = trainer(tmp_path, FullGradMonitor(2))
    with pytest.raises(TypeError) as error:
        run.validate(model, val, verbose=False)
    message = str(error.value)
    assert "FullGradMonitor.batch_to_input" in message
    assert "'views': list(tensor (4, 3, 8, 8) of float32" in message

    class Views(FullGradMonitor):
        def batch_to_input(self, batch: Any) -> Tensor:
            return batch["views"][1]

        def output_to_logits(self, output: Any) -> Tensor:
            return output["answer"][0]

    run = trainer(tmp_path, views := Views(2))
    forward = type(model).forward
    type(model).forward = lambda self, x: {"answer": [forward(self, x)]}
    run.validate(model, val, verbose=False)
    assert len(watched(views)["inputs"]) == 2 and numbers(run)["residual_max"] < 1e-5
    run = trainer(tmp_path, FullGradMonitor(2))
    with pytest.raises(TypeError, match=r"output_to_logits found nothing .*'answer'.*Override"):
        run.validate(model, loader(8), verbose=False)


class Normalised(pl.LightningDataModule):
    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def val_dataloader(self) -> DataLoader[Any]:
        return loader(8)


@pytest.mark.parametrize("make", [torch.tensor, numpy.array, list])
def test_the_data_module_may_hold_any_numbers(make: Any, tmp_path: Path) -> None:
    """Its mean and std undo the normalisation of what is shown."""
    model, pictures = module(), []
    for name, monitor, source in (
        ("given", FullGradMonitor(2, mean=[1, 1, 0], std=[1, 2, 4]), Normalised(None, None)),
        ("found", FullGradMonitor(2), Normalised(make([1, 1, 0]), make([1, 2, 4]))),
        ("none", FullGradMonitor(2), Normalised(None, None)),
    ):
        logger = CSVLogger(tmp_path / name)
        trainer(tmp_path, monitor, logger=logger).validate(model, source, verbose=False)
        (picture,) = (tmp_path / name).rglob("*samples*.png")
        pictures.append(picture.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples must be an integer ≥ 1, got 0"),
        ({"residual_samples": 2.5}, "residual_samples must be an integer"),
        ({"target": "top"}, "target must be 'predicted'.*got 'top'"),
        ({"target": -1}, "target must be"),
        ({"method": "fulgrad"}, "Did you mean 'fullgrad'"),
        ({"methods": "gradcam"}, "methods must be a list"),
        ({"methods": ["nothing"]}, "No saliency method 'nothing'"),
        ({"method": "gradcam", "postprocess": "abs"}, "postprocess belongs to fullgrad"),
        ({"postprocess": "best"}, "postprocess must be one of"),
        ({"indices": []}, "indices must be distinct"),
        ({"indices": [1, 1]}, "indices must be distinct"),
        ({"indices": [-1]}, "indices must be distinct"),
        ({"every_n_epochs": 0}, "every_n_epochs must be"),
        ({"on_incomplete": "stop"}, "on_incomplete must be"),
        ({"tolerance": 0.0}, "tolerance must be"),
        ({"mean": [0.5]}, "mean and std must be given together"),
        ({"dataloader_idx": -1}, "dataloader_idx must be"),
    ],
)
def test_options_are_checked_at_the_door(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FullGradMonitor(**options)


def test_more_classes_than_the_network_has(tmp_path: Path) -> None:
    run = trainer(tmp_path, FullGradMonitor(2, target=CLASSES))
    with pytest.raises(ValueError, match=f"{CLASSES}"):
        run.validate(module(), loader(8), verbose=False)
