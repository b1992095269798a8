"""SaliencyPredictor: which maps it predicts, of which class, with which weights."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fullgrad_lightning.models import ImageClassifier, SaliencyPredictor
from fullgrad_lightning.models.checkpoints import weights_hash
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.saliency.registry import saliency_method
from tests.callbacks.training import CLASSES, SIZE, data, network, trainer
from tests.saliency.methods import OPTIONS, every_method, make


class Rows(Dataset[Any]):
    """Images and labels with their row numbers, as a dict or a pair."""

    def __init__(self, n: int = 7, named: bool = False) -> None:
        self.pairs, self.named = data(n), named

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: int) -> Any:
        image, label = self.pairs[row]
        return row, ({"label": label, "image": image} if self.named else (image, label))


class Data(pl.LightningDataModule):
    """What SaliencyPredictor needs of a data module."""

    splits = ("train", "test")

    def __init__(self, batch_size: int = 3, named: bool = False) -> None:
        super().__init__()
        self.batch_size, self.named = batch_size, named

    def predict_dataloader(self) -> list[DataLoader[Any]]:
        return [DataLoader(Rows(named=self.named), batch_size=self.batch_size) for _ in self.splits]


def predicted(
    root: Path, predictor: pl.LightningModule, data: Data | None = None, **options: Any
) -> list[dict[str, Tensor]]:
    """The predictions for each of the two splits."""
    answers = trainer(root, **options).predict(predictor, datamodule=data or Data())
    return [
        {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
        for batches in answers
    ]


class Weighted(nn.Module):
    """f_k(x) = (k + 1) · (Σ x − 96): the gradient tells which class was explained."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.sum((1, 2, 3)) - 96)[:, None] * torch.arange(1, CLASSES + 1)


@every_method
def test_maps_are_the_methods_own(name: str, tmp_path: Path) -> None:
    """In inference mode, of a network in training mode."""
    model, (images, _) = network(), data(7)[:]
    predictor = SaliencyPredictor(model, name, OPTIONS.get(name))
    for answer in predicted(tmp_path, predictor, Data(batch_size=7)):
        assert answer["index"].tolist() == list(range(7))
        expected = make(name)(model, images, sample_ids=answer["sample_id"])
        torch.testing.assert_close(answer["saliency"], expected)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("target", ["predicted", "label", 1])
def test_the_target_is_explained(target: Any, named: bool, tmp_path: Path) -> None:
    images, labels = data(7)[:]
    classes = {
        "predicted": torch.where(images.sum((1, 2, 3)) > 96, CLASSES - 1, 0),
        "label": labels,
        1: torch.ones(7),
    }[target]
    assert target == 1 or len(classes.unique()) > 1
    predictor = SaliencyPredictor(Weighted(), "input_gradient", target=target)
    for answer in predicted(tmp_path, predictor, Data(named=named)):
        expected = 3 * (classes + 1).view(7, 1, 1, 1).expand(7, 1, SIZE, SIZE).float()
        assert torch.equal(answer["saliency"], expected)


@pytest.mark.parametrize("name", ["random", "smoothgrad"])
def test_draws_belong_to_split_and_row(name: str, tmp_path: Path) -> None:
    model = network().double()

    def maps(batch_size: int = 3, seed: int = 0) -> list[Tensor]:
        predictor = SaliencyPredictor(model, name, seed=seed)
        answers = predicted(tmp_path, predictor, Data(batch_size), precision="64-true")
        return [answer["saliency"] for answer in answers]

    train, test = maps()
    again, _ = maps(batch_size=7)
    torch.testing.assert_close(again, train)
    for other in (test, maps(seed=1)[0], train.roll(1, 0)):
        assert all(not torch.allclose(a, b) for a, b in zip(other, train, strict=True))


def test_sample_ids_are_distinct() -> None:
    many = [sample_ids(split, range(1000), seed) for split in ("a", "b") for seed in (0, 1)]
    assert len(torch.cat(many).unique()) == 4000
    assert many[0][[5, 3]].equal(sample_ids("a", [5, 3]))


def test_networks_are_explained_outside_autocast(tmp_path: Path) -> None:
    predictor = SaliencyPredictor(network())
    mixed = predicted(tmp_path, predictor, precision="bf16-mixed")
    full = predicted(tmp_path, predictor)
    for a, b in zip(mixed, full, strict=True):
        assert a["saliency"].dtype == torch.float32 and torch.equal(a["saliency"], b["saliency"])


def test_prediction_leaves_no_trace(tmp_path: Path) -> None:
    model = network()
    model[3].eval()
    before, modes = copy.deepcopy(model.state_dict()), [part.training for part in model.modules()]
    predictor = SaliencyPredictor(model, "smoothgrad")
    batch = torch.arange(7), data(7)[:]
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()
    predictor.explained(batch, "train")
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert str(numpy.random.get_state()) == str(states[2])
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(part._forward_hooks or part._backward_hooks for part in model.modules())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "vgg9"}, TypeError, "model must be an nn.Module, got str"),
        ({"method": "fulgrad"}, ValueError, "Did you mean 'fullgrad'"),
        ({"method_options": {"sigma": 1}}, TypeError, "'fullgrad' has no option 'sigma'"),
        ({"method_options": {"postprocess": "best"}}, ValueError, "postprocess must be one of"),
        ({"method_options": {"postprocess": torch.relu}}, TypeError, "must be plain values"),
        ({"target": "top"}, ValueError, "target must be 'predicted'.*got 'top'"),
        ({"target": -1}, ValueError, "target must be"),
        ({"target": True}, ValueError, "target must be"),
        ({"seed": 0.5}, ValueError, "seed must be an integer, got 0.5"),
    ],
)
def test_options_are_checked_at_the_door(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        SaliencyPredictor(**{"model": network(), **options})


@pytest.mark.parametrize(
    ("target", "batch", "message"),
    [
        ("predicted", data(2)[:], r"row numbers \(N,\), batch\).*got tuple\(tensor"),
        ("predicted", torch.zeros(2, 3, 8, 8), r"got tensor \(2, 3, 8, 8\) of float32"),
        ("label", (torch.arange(2), data(2)[:][0]), "needs class indices"),
    ],
)
def test_batches_of_another_kind(target: Any, batch: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        SaliencyPredictor(network(), target=target).explained(batch, "train")


def test_data_without_rows(tmp_path: Path) -> None:
    loader = DataLoader(Rows(), batch_size=3)
    with pytest.raises(TypeError, match=r"datamodule=ROARDataModule"):
        trainer(tmp_path).predict(SaliencyPredictor(network()), loader)


def test_made_from_tells_what_determines_the_maps() -> None:
    model = network()

    def made_from(**options: Any) -> dict[str, Any]:
        found = SaliencyPredictor(**{"model": model, "method": "smoothgrad", **options}).made_from
        assert json.loads(json.dumps(found)) == found
        return found

    first = made_from()
    assert first == made_from(model=copy.deepcopy(model), method_options={"n_samples": 25})
    assert first["method_options"]["n_samples"] == 25  # a default, but it may change
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed[0].weight[0, 0, 0, 0] += 1e-6
    for options in (
        {"model": changed}, {"method": "vargrad"}, {"method_options": {"n_samples": 3}},
        {"target": "label"}, {"target": 0}, {"seed": 1},
    ):  # fmt: skip
        assert made_from(**options) != first


YAML = """
class_path: fullgrad_lightning.models.SaliencyPredictor
init_args:
  model:
    class_path: fullgrad_lightning.models.ImageClassifier
    init_args: {num_classes: 8, model_options: {width: 2}}
  method: smoothgrad
  method_options: {n_samples: 2}
  target: label
  checkpoint: CHECKPOINT
"""


def test_from_yaml_and_back(tmp_path: Path) -> None:
    other = ImageClassifier(num_classes=8, model_options={"width": 2})
    torch.save(other.state_dict(), tmp_path / "weights.pt")
    parser = ArgumentParser()
    parser.add_subclass_arguments(pl.LightningModule, "model")
    text = YAML.replace("CHECKPOINT", str(tmp_path / "weights.pt")).replace("\n", "\n  ")
    configuration = parser.parse_string(f"model:\n  {text}")
    assert parser.parse_string(parser.dump(configuration)) == configuration
    made = parser.instantiate(configuration).model
    assert isinstance(made, SaliencyPredictor) and isinstance(made.model, ImageClassifier)
    assert made.made_from["checkpoint"] == weights_hash(other)
    assert made.method == saliency_method("smoothgrad", n_samples=2) and made.target == "label"
