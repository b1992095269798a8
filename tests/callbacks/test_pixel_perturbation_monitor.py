"""PixelPerturbationMonitor: what it logs, of which samples, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import fullgrad_lightning as fgl
from fullgrad_lightning.callbacks.pixel_perturbation_monitor import PixelPerturbationMonitor
from fullgrad_lightning.masking.ranking import rank_pixels
from tests.callbacks.training import SIZE, data, loader, module, trainer

FRACTIONS = (0.1, 0.5)


def numbers(run: Any, prefix: str = "perturbation") -> dict[str, float]:
    return {
        key.removeprefix(f"{prefix}/"): float(value)
        for key, value in run.callback_metrics.items()
        if key.startswith(f"{prefix}/")
    }


def literal(model: nn.Module, n: int, black: Sequence[float] = (0, 0, 0)) -> list[float]:
    """The mean relative changes over the first n samples, one image and pixel at a time."""
    means = []
    x = data(24, 1).tensors[0].double()[:n]
    maps = fgl.saliency_method("input_gradient")(model, x)
    with torch.no_grad():
        for fraction in FRACTIONS:
            changes = []
            for image, saliency in zip(x, maps[:, 0], strict=True):
                clean = model(image[None])[0]
                top = int(clean.argmax())
                altered = image.clone()
                for pixel in saliency.flatten().argsort()[: round(fraction * SIZE**2)].tolist():
                    altered[:, pixel // SIZE, pixel % SIZE] = torch.tensor(black).double()
                changes.append(abs(float((model(altered[None])[0] - clean)[top] / clean[top])))
            means.append(sum(changes) / n)
    return means


def validated(root: Path, monitor: Callback, stage: str = "validate", **how: Any) -> Any:
    """A run over the 24 validation samples of ``loader``, in batches of five, and its network."""
    run = trainer(root, monitor, precision="64-true")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = module().double().eval()
    getattr(run, stage)(model, **(how or {"dataloaders": loader(batch_size=5)}), verbose=False)
    return run, model


@pytest.mark.parametrize("n", [7, 99])
def test_numbers_against_loops(n: int, tmp_path: Path) -> None:
    monitor = PixelPerturbationMonitor(FRACTIONS, method="input_gradient", num_samples=n)
    run, model = validated(tmp_path, monitor)
    means, got = literal(model, min(n, 24)), numbers(run)
    assert set(got) == {"0.1", "0.5", "auc"}
    assert [got["0.1"], got["0.5"]] == pytest.approx(means, rel=1e-5)
    area = 0.1 * means[0] / 2 + 0.4 * sum(means) / 2
    assert got["auc"] == pytest.approx(area / 0.5, rel=1e-5)


def test_noise_and_ties_belong_to_the_position(tmp_path: Path) -> None:
    monitor = PixelPerturbationMonitor(
        FRACTIONS, method="gradcam", fill="noisy_linear", order="most_salient", seed=3
    )
    run, model = validated(tmp_path, monitor)
    metric = fgl.PixelPerturbation(FRACTIONS, fill="noisy_linear", order="most_salient", seed=3)
    x, ids = data(24, 1).tensors[0].double(), range(24)
    ranks = rank_pixels(fgl.saliency_method("gradcam")(model, x), ids, seed=3)
    metric.update(model, x, ranks, sample_ids=ids)
    expected = {key: float(value) for key, value in metric.scalars("").items()}
    assert numbers(run, "perturbation") == pytest.approx(
        {key.removeprefix("/"): value for key, value in expected.items()}, rel=1e-6
    )


class Normalised(pl.LightningDataModule):
    def __init__(self, mean: Any = (0.5, 0.5, 0.25), std: Any = (0.25, 0.5, 0.5)) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def val_dataloader(self) -> DataLoader[Any]:
        return loader(batch_size=5)


def test_black_is_that_of_the_data_module_unless_it_is_given(tmp_path: Path) -> None:
    for options, black in (
        ({}, (-2.0, -1.0, -0.5)),
        ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, (0.0, 0.0, 0.0)),
    ):
        monitor = PixelPerturbationMonitor(
            FRACTIONS, method="input_gradient", num_samples=6, **options
        )
        run, model = validated(tmp_path, monitor, datamodule=Normalised())
        got = numbers(run)
        assert [got["0.1"], got["0.5"]] == pytest.approx(literal(model, 6, black), rel=1e-5)
    mean = PixelPerturbationMonitor(FRACTIONS, method="input_gradient", fill="mean", num_samples=6)
    run, model = validated(tmp_path, mean, datamodule=Normalised())
    assert numbers(run)["0.5"] == pytest.approx(literal(model, 6)[1], rel=1e-5)
    with pytest.raises(ValueError, match="give mean and std"):
        validated(tmp_path, PixelPerturbationMonitor(fill="mean"))


def test_keys(tmp_path: Path) -> None:
    table = re.findall(r"``perturbation/([a-z<>]+)``", PixelPerturbationMonitor.__doc__ or "")
    assert table == ["<fraction>", "auc"]
    run, _ = validated(tmp_path, PixelPerturbationMonitor(), "test")
    assert set(numbers(run, "perturbation_test")) == {"0.01", "0.05", "0.1", "auc"}
    assert not numbers(run)


@pytest.mark.parametrize("make", [torch.tensor, numpy.array, list])
def test_the_data_module_may_hold_any_numbers(make: Any, tmp_path: Path) -> None:
    monitor = PixelPerturbationMonitor(FRACTIONS, method="input_gradient", num_samples=6)
    data = Normalised(make([1, 1, 0]), make([1, 2, 4]))
    run, model = validated(tmp_path, monitor, datamodule=data)
    got = numbers(run)
    assert [got["0.1"], got["0.5"]] == pytest.approx(literal(model, 6, (-1, -0.5, 0)), rel=1e-5)


class Epochs(Callback):
    """In which epochs numbers were new."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self.last: dict[str, float] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        new = numbers(trainer)
        if new != self.last:
            self.found.append(trainer.current_epoch)
        self.last = new


def test_every_n_epochs_and_again_after_a_checkpoint(tmp_path: Path) -> None:
    epochs = Epochs()
    run = trainer(tmp_path, PixelPerturbationMonitor(every_n_epochs=2), epochs, max_epochs=4)
    run.fit(model := module(), loader(40), loader())
    assert epochs.found == [0, 2]
    run.save_checkpoint(tmp_path / "last.ckpt")
    again = Epochs()
    run = trainer(tmp_path, PixelPerturbationMonitor(every_n_epochs=2), again, max_epochs=7)
    run.fit(model, loader(40), loader(), ckpt_path=tmp_path / "last.ckpt")
    assert again.found == [4, 6]


def test_maps_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    class Root(nn.Module):  # whose gradient is infinite on a black image
        def forward(self, x: Tensor) -> Tensor:
            return 1 + x.sum((2, 3)).sqrt()

    model = module()
    model.net, model.validation_step = Root(), lambda *_: None
    images = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    run = trainer(tmp_path, PixelPerturbationMonitor([1.0], method="input_gradient"))
    run.validate(model, DataLoader(TensorDataset(images), 2), verbose=False)
    assert numbers(run)["1"] == pytest.approx(2 / 3)  # 3 → 1
    run = trainer(tmp_path, PixelPerturbationMonitor([1.0], method="input_gradient", num_samples=1))
    run.validate(model, DataLoader(TensorDataset(images), 2), verbose=False)
    assert not numbers(run)


def test_a_network_whose_output_is_nan_does_not_end_the_training(tmp_path: Path) -> None:
    model = module()
    with torch.no_grad():
        model.net[-1].weight.fill_(torch.nan)
    run = trainer(tmp_path, PixelPerturbationMonitor())
    run.fit(model, loader(16), loader(8))
    assert run.current_epoch == 2 and not numbers(run)


def test_a_strange_batch_or_output_is_named_with_the_method_to_override(tmp_path: Path) -> None:
    def collate(samples: Sequence[Any]) -> dict[str, Any]:
        return {"views": [torch.stack([image for image, _ in samples])]}

    class Views(PixelPerturbationMonitor):
        def batch_to_input(self, batch: Any) -> Tensor:
            return batch["views"][0]

        def output_to_logits(self, output: Any) -> Tensor:
            return output["answer"][0]

    model = module()
    model.validation_step = lambda *_: None
    val = DataLoader(data(8), 4, collate_fn=collate)
    with pytest.raises(TypeError, match=r"Override PixelPerturbationMonitor\.batch_to_input"):
        trainer(tmp_path, PixelPerturbationMonitor()).validate(model, val, verbose=False)
    forward = type(model).forward
    type(model).forward = lambda self, x: {"answer": [forward(self, x)]}
    run = trainer(tmp_path, Views())
    run.validate(model, val, verbose=False)
    assert numbers(run)
    with pytest.raises(TypeError, match="output_to_logits found nothing"):
        trainer(tmp_path, PixelPerturbationMonitor()).validate(model, loader(8), verbose=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.5, 0.1)}, "in ascending order"),
        ({"method": "fulgrad"}, "Did you mean 'fullgrad'"),
        ({"num_samples": 0}, "num_samples must be an integer ≥ 1"),
        ({"every_n_epochs": 0}, "every_n_epochs must be"),
        ({"order": "random"}, "order must be one of"),
        ({"fill": "grey"}, "fill must be one of .*'grey'"),
        ({"mean": [0.5]}, "mean and std must be given together"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"dataloader_idx": -1}, "dataloader_idx must be"),
    ],
)
def test_options_are_checked_at_the_door(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelPerturbationMonitor(**options)


def test_two_on_one_loader_are_refused(tmp_path: Path) -> None:
    one, other = PixelPerturbationMonitor(), PixelPerturbationMonitor(dataloader_idx=1)
    run = trainer(tmp_path, one, other)
    run.validate(module(), [loader(), loader()], verbose=False)
    assert len(numbers(run)) == 8
    run = trainer(tmp_path, one, PixelPerturbationMonitor(method="random", dataloader_idx=1), other)
    with pytest.raises(ValueError, match=r"Two PixelPerturbationMonitors .* the same keys"):
        run.validate(module(), [loader(), loader()], verbose=False)
