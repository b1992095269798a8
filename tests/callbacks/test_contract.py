"""What every callback of the package promises to the training that it is added to."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch
import numpy
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor

import fullgrad_lightning as fgl
from fullgrad_lightning.callbacks.fullgrad_monitor.monitor import FullGradMonitor
from fullgrad_lightning.callbacks.pixel_perturbation_monitor import PixelPerturbationMonitor
from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter
from fullgrad_lightning.models import SaliencyPredictor
from tests.callbacks.estimating import images
from tests.callbacks.training import assert_identical, loader, module, train, trainer

CALLBACKS: dict[str, Callable[[Path], Any]] = {
    "FullGradMonitor": lambda _: FullGradMonitor(
        4, methods=["gradcam", "smoothgrad", "guided_backprop"], layer_maps=True
    ),
    "PixelPerturbationMonitor": lambda _: PixelPerturbationMonitor(
        method="smoothgrad", num_samples=9, fill="noisy_linear"
    ),
    "SaliencyWriter": lambda root: SaliencyWriter(root / "store"),
}
WORK = {  # the stage that it works in
    "FullGradMonitor": "fit",
    "PixelPerturbationMonitor": "fit",
    "SaliencyWriter": "predict",
}
KEYS = ("fullgrad", "perturbation")  # what keys that they log begin with
every_callback = pytest.mark.parametrize("name", CALLBACKS)
every_monitor = pytest.mark.parametrize("name", [n for n in WORK if WORK[n] == "fit"])


def test_every_callback_is_held_to_the_contract() -> None:
    exported = {name: getattr(fgl, name) for name in fgl.__all__}
    callbacks = {
        name
        for name, thing in exported.items()
        if inspect.isclass(thing) and issubclass(thing, pl.Callback)
    }
    assert callbacks == set(CALLBACKS) == set(WORK)


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation and validation within the epoch": {
        "accumulate_grad_batches": 3, "val_check_interval": 2,
    },
    "bf16-mixed": {"precision": "bf16-mixed"},
    "gradient clipping": {"gradient_clip_val": 0.1},
    "compiled": {"compiled": True},
    "other namespace": {"lightning": lightning.pytorch},
}  # fmt: skip


@every_callback
@pytest.mark.parametrize("case", CASES)
def test_training_is_bit_identical(name: str, case: str, tmp_path: Path) -> None:
    without = train(tmp_path / "without", **CASES[case])
    with_it = train(tmp_path / "with", CALLBACKS[name](tmp_path), **CASES[case])
    assert_identical(with_it, without)
    logged = [key for key in with_it.trainer.callback_metrics if key.startswith(KEYS)]
    assert bool(logged) == (WORK[name] == "fit")  # it was at work, or had none here
    assert not (tmp_path / "store").exists()


@every_monitor
def test_weight_averaging(name: str, tmp_path: Path) -> None:
    """Bit-identical too; and the same weights are explained in whatever order callbacks stand."""
    without = train(tmp_path, EMAWeightAveraging(decay=0.5))
    raw = train(tmp_path, CALLBACKS[name](tmp_path))
    before = train(tmp_path, CALLBACKS[name](tmp_path), EMAWeightAveraging(decay=0.5))
    after = train(tmp_path, EMAWeightAveraging(decay=0.5), CALLBACKS[name](tmp_path))
    assert_identical(before, without)
    assert_identical(after, without)
    logged = [key for key in before.trainer.callback_metrics if key.startswith(KEYS)]
    numbers = [
        [float(run.trainer.callback_metrics[key]) for key in logged] for run in (before, after, raw)
    ]
    assert numbers[0] == numbers[1] != numbers[2]


@every_monitor
def test_sanity_check_logs_nothing(name: str, tmp_path: Path) -> None:
    callback = CALLBACKS[name](tmp_path)
    run = trainer(
        tmp_path, callback, logger=CSVLogger(tmp_path), num_sanity_val_steps=2, max_epochs=0
    )
    before = callback.state_dict()
    run.fit(module(), loader(), loader())
    assert str(callback.state_dict()) == str(before)
    assert not [key for key in run.callback_metrics if key.startswith(KEYS)]
    assert not list(tmp_path.rglob("*.png"))


@every_monitor
def test_fast_dev_run_leaves_nothing(name: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, CALLBACKS[name](tmp_path), fast_dev_run=True)
    run.fit(module(), loader(), loader())
    assert [key for key in run.callback_metrics if key.startswith(KEYS)]
    assert not list(tmp_path.rglob("*.png"))


@every_monitor
@pytest.mark.parametrize("stage", ["validate", "test"])
def test_validate_and_test(name: str, stage: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, CALLBACKS[name](tmp_path), logger=CSVLogger(tmp_path))
    model = module()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    getattr(run, stage)(model, loader(), verbose=False)
    assert [key for key in run.callback_metrics if key.startswith(KEYS)]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@every_monitor
def test_two_validation_loaders(name: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, CALLBACKS[name](tmp_path))
    run.fit(module(), loader(40), [loader(24), loader(16, seed=2)])
    logged = [key for key in run.callback_metrics if key.startswith(KEYS)]
    assert logged and all(key.endswith("/dataloader_idx_0") for key in logged)


@every_callback
def test_an_exception_leaves_no_hook(name: str, tmp_path: Path) -> None:
    model = module()
    calls = {"n": 0}
    forward = model.net[4].forward

    def failing(x: Tensor) -> Tensor:
        calls["n"] += 1
        if calls["n"] > 6:
            raise RuntimeError("in the middle")
        return forward(x)

    model.net[4].forward = failing
    run = trainer(tmp_path, CALLBACKS[name](tmp_path), num_sanity_val_steps=0)
    works = {
        "fit": lambda: run.validate(model, loader(24, batch_size=4), verbose=False),
        "predict": lambda: run.predict(SaliencyPredictor(model.net), datamodule=images()),
    }
    with pytest.raises(RuntimeError, match="in the middle"):
        works[WORK[name]]()
    assert_untouched(model)


@every_callback
def test_prediction_changes_nothing(name: str, tmp_path: Path) -> None:
    model = module()
    model.net[3].eval()
    modes = [part.training for part in model.modules()]
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    states = []
    for callbacks in ([], [CALLBACKS[name](tmp_path)]):
        pl.seed_everything(7)
        run = trainer(tmp_path, *callbacks)
        run.predict(SaliencyPredictor(model.net, "smoothgrad"), datamodule=images())
        states.append((torch.get_rng_state().tolist(), random.getstate(), numpy.random.rand()))
        assert [part.training for part in model.modules()] == modes
        assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
        assert_untouched(model)
    assert states[0] == states[1]
    assert (tmp_path / "store").exists() == (WORK[name] == "predict")  # it was at work


def assert_untouched(model: torch.nn.Module) -> None:
    for part in model.modules():
        assert not part._forward_hooks and not part._forward_pre_hooks
        assert not part._backward_hooks and not part._backward_pre_hooks
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@every_callback
@pytest.mark.parametrize("strategy", ["FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy"])
def test_sharded_strategies_are_refused(name: str, strategy: str, tmp_path: Path) -> None:
    run, callback = trainer(tmp_path), CALLBACKS[name](tmp_path)
    run.strategy.__class__ = type(strategy, (type(run.strategy),), {})  # none runs on one CPU
    with pytest.raises(ValueError, match=rf"shards it \({strategy}\).*ddp"):
        callback.setup(run, module(), WORK[name])
