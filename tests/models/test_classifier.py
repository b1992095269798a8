"""ImageClassifier in a Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from fullgrad_lightning.datamodules import ShapesDataModule
from fullgrad_lightning.models import ImageClassifier


def classifier(**options: Any) -> ImageClassifier:
    return ImageClassifier(**{"num_classes": 8, "model_options": {"width": 4}, **options})


def trainer(tmp_path: Path, **options: Any) -> pl.Trainer:
    defaults = {
        "accelerator": "cpu", "max_epochs": 1, "logger": False, "enable_progress_bar": False,
        "enable_checkpointing": False, "enable_model_summary": False, "num_sanity_val_steps": 0,
        "default_root_dir": tmp_path,
    }  # fmt: skip
    return pl.Trainer(**{**defaults, **options})


def shapes(**options: Any) -> ShapesDataModule:
    return ShapesDataModule(
        **{"train_size": 96, "val_size": 40, "test_size": 40, "batch_size": 32, **options}
    )


class Watch(pl.Callback):
    """Keeps each step's training loss and learning rate."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.losses.append(float(trainer.callback_metrics["train/loss"]))


def test_a_few_steps_reduce_the_loss_and_metrics_are_logged(tmp_path: Path) -> None:
    pl.seed_everything(0)
    watch, model = Watch(), classifier(lr=0.02, schedule="none", model_options={"width": 8})
    runner = trainer(tmp_path, max_epochs=8, callbacks=[watch])
    runner.fit(model, shapes())
    assert sum(watch.losses[-3:]) < 0.7 * sum(watch.losses[:3])
    assert set(runner.callback_metrics) == {"train/loss", "val/loss", "val/accuracy"}


def logits_and_labels(model: nn.Module, data: ShapesDataModule) -> tuple[Tensor, Tensor]:
    model.eval()
    batches = list(data.val_dataloader())
    with torch.no_grad():
        logits = torch.cat([model(batch.image) for batch in batches])
    return logits, torch.cat([batch.label for batch in batches])


def test_metrics_are_those_of_the_whole_set(tmp_path: Path) -> None:
    model, data = classifier(label_smoothing=0.3), shapes(val_size=40)  # 32 and 8: unequal batches
    runner = trainer(tmp_path)
    (found,) = runner.validate(model, data, verbose=False)
    logits, labels = logits_and_labels(model, data)
    assert found["val/loss"] == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-5)
    right = (logits.argmax(1) == labels).double().mean()
    assert found["val/accuracy"] == pytest.approx(float(right))
    (tested,) = runner.test(model, data, verbose=False)
    assert set(tested) == {"test/loss", "test/accuracy"}
    again = runner.validate(model, data, verbose=False)
    assert again == [found], "nothing is left over from the validation before"
    runner.fit(model, data)  # after inference mode, too


def test_two_validation_loaders_are_not_mixed(tmp_path: Path) -> None:
    model, data = classifier(), shapes()
    data.setup("fit")
    images = torch.cat([batch.image for batch in data.val_dataloader()])
    model.eval()
    with torch.no_grad():
        right = model(images).argmax(1)
    loaders = [
        DataLoader(TensorDataset(images, labels), batch_size=16)
        for labels in (right, (right + 1) % 8)
    ]
    found = trainer(tmp_path).validate(model, loaders, verbose=False)
    assert found[0]["val/accuracy/dataloader_idx_0"] == 1
    assert found[1]["val/accuracy/dataloader_idx_1"] == 0


def test_label_smoothing_is_that_of_torch() -> None:
    model, data = classifier(label_smoothing=0.2), shapes()
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    model.eval()
    model.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    expected = cross_entropy(model(batch.image), batch.label, label_smoothing=0.2)
    assert model.training_step(batch, 0).allclose(expected)
    assert not expected.allclose(cross_entropy(model(batch.image), batch.label))


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    model = classifier(optimizer="adamw", lr=0.01)
    runner, path = trainer(tmp_path), tmp_path / "last.ckpt"
    runner.fit(model, shapes())
    runner.save_checkpoint(path)
    back = ImageClassifier.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    assert dict(back.hparams) == dict(model.hparams)
    assert back.hparams["model_options"] == {"width": 4}
    for a, b in zip(model.state_dict().values(), back.state_dict().values(), strict=True):
        assert a.equal(b)
    x = torch.randn(3, 3, 32, 32)
    assert back.eval()(x).equal(model.eval()(x))


def test_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    def fit(epochs: int, path: Path | None) -> dict[str, Tensor]:
        pl.seed_everything(0)
        model = classifier(lr=0.01, schedule="none")
        runner = trainer(tmp_path, max_epochs=epochs)
        runner.fit(model, shapes(train_size=32), ckpt_path=path)
        runner.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return model.state_dict()

    fit(1, None)
    resumed, whole = fit(2, tmp_path / "1.ckpt"), fit(2, None)
    for name, values in whole.items():  # one batch an epoch: only its order differs
        assert values.double().allclose(resumed[name].double(), atol=1e-4), name


def test_checkpoints_do_not_ask_for_pretrained_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision

    asked: list[str] = []

    def get_state_dict(self: Any, *args: object, **kwargs: object) -> dict[str, Any]:
        asked.append(self.name)
        return dict(torchvision.models.googlenet(init_weights=False).state_dict())

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", get_state_dict)
    model = ImageClassifier("googlenet", 8, weights="DEFAULT")
    assert asked == ["IMAGENET1K_V1"] and model.hparams["weights"] == "DEFAULT"
    runner, path = trainer(tmp_path), tmp_path / "google.ckpt"
    runner.validate(model, shapes(val_size=2, size=64), verbose=False)
    runner.save_checkpoint(path)
    back = ImageClassifier.load_from_checkpoint(path, weights_only=True)
    assert len(asked) == 1
    x = torch.randn(2, 3, 64, 64)
    assert back.eval()(x).equal(model.eval()(x))
    assert model.hparams["weights"] == "DEFAULT" and model.hparams["model_options"] is None


def fit_rates(tmp_path: Path, epochs: int = 2, **options: Any) -> list[float]:
    watch = Watch()
    trainer(tmp_path, max_epochs=epochs, callbacks=[watch]).fit(classifier(**options), shapes())
    return watch.rates


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_schedules_last_as_long_as_the_training(tmp_path: Path, optimizer: Any) -> None:
    steps = torch.arange(6).double()  # 3 batches in each of 2 epochs
    cosine = fit_rates(tmp_path, optimizer=optimizer, lr=0.1, schedule="cosine")
    expected = 0.05 * (1 + (steps / 6 * torch.pi).cos())
    assert cosine == pytest.approx(expected.tolist())
    cycle = fit_rates(tmp_path, optimizer=optimizer, lr=0.1, schedule="onecycle")
    assert cycle[0] == pytest.approx(0.004) and max(cycle) > 0.09 and cycle[-1] < 1e-4
    assert fit_rates(tmp_path, optimizer=optimizer, lr=0.1, schedule="none") == [0.1] * 6


def test_onecycle_counts_optimizer_steps(tmp_path: Path) -> None:
    model = classifier(schedule="onecycle")
    runner = trainer(tmp_path, max_epochs=4, accumulate_grad_batches=2)
    runner.fit(model, shapes())
    schedule: Any = runner.lr_scheduler_configs[0].scheduler
    assert schedule.total_steps == 8 == schedule.last_epoch  # 3 batches: 2 steps an epoch


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "none"])
def test_all_combinations_run_a_single_step(tmp_path: Path, optimizer: Any, schedule: Any) -> None:
    runner = trainer(tmp_path, fast_dev_run=True)
    runner.fit(classifier(optimizer=optimizer, schedule=schedule), shapes())
    assert runner.global_step == 1


def test_optimizers_have_their_options(tmp_path: Path) -> None:
    options: dict[str, Any] = {"momentum": 0.8, "weight_decay": 0.01, "lr": 0.3, "schedule": "none"}
    sgd: Any = classifier(optimizer="sgd", **options).configure_optimizers()
    assert type(sgd) is torch.optim.SGD
    assert {"lr": 0.3, "momentum": 0.8, "weight_decay": 0.01, "nesterov": True}.items() <= (
        sgd.defaults.items()
    )
    adamw: Any = classifier(optimizer="adamw", **options).configure_optimizers()
    assert type(adamw) is torch.optim.AdamW
    assert adamw.defaults["betas"] == (0.8, 0.999) and adamw.defaults["weight_decay"] == 0.01
    plain: Any = classifier(**{**options, "momentum": 0.0}).configure_optimizers()
    assert not plain.defaults["nesterov"]


def test_a_training_without_end_has_no_schedule(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'set max_epochs or max_steps .* schedule="none"'):
        trainer(tmp_path, max_epochs=-1).fit(classifier(), shapes())


def test_predictions(tmp_path: Path) -> None:
    model, data = classifier(), shapes()
    logits = trainer(tmp_path).predict(model, data)
    assert logits is not None
    assert torch.cat([*logits]).shape == (40, 8)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "optimizer must be one of 'sgd', 'adamw', got 'adam'"),
        ({"schedule": "step"}, r"schedule must be one of .* got 'step'"),
        ({"lr": 0.0}, "lr must be > 0 and finite, got 0.0"),
        ({"lr": float("nan")}, "lr must be > 0 and finite, got nan"),
        ({"momentum": 1.0}, "momentum must be ≥ 0 and < 1, got 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be ≥ 0 and finite, got -1.0"),
        ({"label_smoothing": 1.0}, "label_smoothing must be ≥ 0 and < 1, got 1.0"),
        ({"model": "vgg10"}, "No model 'vgg10'. Did you mean"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**options)


YAML = """
model:
  class_path: fullgrad_lightning.models.ImageClassifier
  init_args:
    model: vgg9
    num_classes: 8
    model_options: {width: 4}
    optimizer: adamw
    lr: 1e-2
    schedule: onecycle
    label_smoothing: 0.1
data:
  class_path: fullgrad_lightning.datamodules.ShapesDataModule
  init_args: {train_size: 64, val_size: 32, batch_size: 32}
"""


def test_from_yaml_and_back(tmp_path: Path) -> None:
    parser = ArgumentParser()
    parser.add_subclass_arguments(pl.LightningModule, "model")
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    configuration = parser.parse_string(YAML)
    assert parser.parse_string(parser.dump(configuration)) == configuration
    made = parser.instantiate(configuration)
    assert isinstance(made.model, ImageClassifier)
    assert made.model.hparams["lr"] == 0.01 and made.model.hparams["label_smoothing"] == 0.1
    runner = trainer(tmp_path)
    runner.fit(made.model, made.data)
    assert "val/accuracy" in runner.callback_metrics
