"""Weights: loaded safely, and told apart."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.models import ImageClassifier, SaliencyPredictor
from fullgrad_lightning.models.checkpoints import load_weights, weights_hash
from tests.models.test_classifier import classifier, shapes, trainer


def test_from_a_lightning_checkpoint_and_from_a_state_dict(tmp_path: Path) -> None:
    trained, runner = classifier(), trainer(tmp_path)
    runner.fit(trained, shapes(train_size=32))
    runner.save_checkpoint(tmp_path / "last.ckpt")
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    for name in ("last.ckpt", "weights.pt"):
        fresh = classifier()
        assert weights_hash(fresh) != weights_hash(trained)
        SaliencyPredictor(fresh, checkpoint=str(tmp_path / name))
        assert weights_hash(fresh) == weights_hash(trained)
        for key, value in trained.state_dict().items():
            assert torch.equal(fresh.state_dict()[key], value)


class Malicious:
    """Pickled, it would make a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Malicious, "could run code when they are loaded"),
        ([1, 2], r"should hold a state_dict.*got list"),
        ({"state_dict": torch.zeros(2)}, "got Tensor"),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)},
            r"do not fit Linear: of another shape are weight \(2, 3\) for \(2, 2\)\..*trained with",
        ),
        ({"state_dict": {"bias": torch.zeros(2)}}, r"missing are weight\."),
        (
            {f"net.{i}.weight": torch.zeros(2) for i in range(5)},
            r"unknown are net.0.weight, net.1.weight, net.2.weight and 2 more.*begin with 'net\.'",
        ),
    ],
)
def test_files_that_hold_no_such_weights(content: Any, message: str, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    torch.save(content(touched) if content is Malicious else content, tmp_path / "file")
    with pytest.raises(ValueError, match=f"(?s){message}"):
        load_weights(nn.Linear(2, 2), str(tmp_path / "file"))
    assert not touched.exists()


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(ValueError, match=r"notes\.txt is not a checkpoint: torch\.save did not"):
        load_weights(nn.Linear(2, 2), str(tmp_path / "notes.txt"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.ckpt"):
        load_weights(nn.Linear(2, 2), str(tmp_path / "nothing.ckpt"))


def test_weights_that_come_with_ckpt_path_are_refused(tmp_path: Path) -> None:
    predictor, runner = SaliencyPredictor(classifier()), trainer(tmp_path)
    runner.strategy.connect(predictor)
    runner.save_checkpoint(tmp_path / "predictor.ckpt")
    with pytest.raises(ValueError, match=r"SaliencyPredictor\(model, checkpoint=path\), not as"):
        trainer(tmp_path).predict(
            predictor, datamodule=shapes(), ckpt_path=tmp_path / "predictor.ckpt"
        )


class Holding(nn.Module):
    """A network whose state_dict is what it is given."""

    def __init__(self, **tensors: Tensor) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)


def test_the_hash_sees_name_dtype_shape_and_bytes() -> None:
    zeros = torch.zeros(4)
    different = [
        Holding(a=zeros), Holding(b=zeros), Holding(a=zeros.view(2, 2)), Holding(a=zeros.int()),
        Holding(a=zeros.double()), Holding(a=-zeros), Holding(a=torch.zeros(5)),
        Holding(a=zeros, b=zeros), Holding(a=zeros.bfloat16()), Holding(a=torch.zeros(())),
        Holding(a=torch.zeros(0)), Holding(a=zeros.bool()), Holding(a=zeros.cfloat()), Holding(),
    ]  # fmt: skip
    hashes = [weights_hash(module) for module in different]
    assert len(set(hashes)) == len(different)
    assert hashes == [weights_hash(copy.deepcopy(module)) for module in different]
    assert weights_hash(Holding()) == hashlib.sha256().hexdigest()


def test_the_hash_does_not_see_how_memory_lies_nor_the_order() -> None:
    values = torch.arange(6.0).view(2, 3)
    expected = weights_hash(Holding(a=values, b=values))
    assert weights_hash(Holding(b=values, a=values)) == expected
    assert weights_hash(Holding(a=values.T.contiguous().T, b=values)) == expected


def test_only_the_weights_count() -> None:
    model: ImageClassifier = classifier()
    before = weights_hash(model)
    model.eval().requires_grad_(False)
    assert weights_hash(model) == before
