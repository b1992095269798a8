"""What every callback of the package promises to the training that it is added to."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor

import fullgrad_lightning as fgl
from fullgrad_lightning.callbacks.monitor import FullGradMonitor
from tests.callbacks.training import assert_identical, loader, module, train, trainer

CALLBACKS: dict[str, Callable[[], Any]] = {
    "FullGradMonitor": lambda: FullGradMonitor(
        4, methods=["gradcam", "smoothgrad", "guided_backprop"], layer_maps=True
    ),
}
every_callback = pytest.mark.parametrize("name", CALLBACKS)


def test_every_callback_is_held_to_the_contract() -> None:
    exported = {name: getattr(fgl, name) for name in fgl.__all__}
    callbacks = {
        name
        for name, thing in exported.items()
        if inspect.isclass(thing) and issubclass(thing, pl.Callback)
    }
    assert callbacks == set(CALLBACKS)


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
    with_it = train(tmp_path / "with", CALLBACKS[name](), **CASES[case])
    assert_identical(with_it, without)
    logged = [key for key in with_it.trainer.callback_metrics if key.startswith("fullgrad")]
    assert logged  # it was at work


@every_callback
def test_weight_averaging(name: str, tmp_path: Path) -> None:
    """Bit-identical too; and the same weights are explained in whatever order callbacks stand."""
    without = train(tmp_path, EMAWeightAveraging(decay=0.5))
    raw = train(tmp_path, CALLBACKS[name]())
    before = train(tmp_path, CALLBACKS[name](), EMAWeightAveraging(decay=0.5))
    after = train(tmp_path, EMAWeightAveraging(decay=0.5), CALLBACKS[name]())
    assert_identical(before, without)
    assert_identical(after, without)
    logged = [key for key in before.trainer.callback_metrics if key.startswith("fullgrad")]
    numbers = [
        [float(run.trainer.callback_metrics[key]) for key in logged] for run in (before, after, raw)
    ]
    assert numbers[0] == numbers[1] != numbers[2]


@every_callback
def test_sanity_check_logs_nothing(name: str, tmp_path: Path) -> None:
    callback = CALLBACKS[name]()
    run = trainer(
        tmp_path, callback, logger=CSVLogger(tmp_path), num_sanity_val_steps=2, max_epochs=0
    )
    before = callback.state_dict()
    run.fit(module(), loader(), loader())
    assert str(callback.state_dict()) == str(before)
    assert not [key for key in run.callback_metrics if key.startswith("fullgrad")]
    assert not list(tmp_path.rglob("*.png"))


@every_callback
def test_fast_dev_run_leaves_nothing(name: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, CALLBACKS[name](), fast_dev_run=True)
    run.fit(module(), loader(), loader())
    assert [key for key in run.callback_metrics if key.startswith("fullgrad")]
    assert not list(tmp_path.rglob("*.png"))


@every_callback
@pytest.mark.parametrize("stage", ["validate", "test"])
def test_validate_and_test(name: str, stage: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, CALLBACKS[name](), logger=CSVLogger(tmp_path))
    model = module()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    getattr(run, stage)(model, loader(), verbose=False)
    assert [key for key in run.callback_metrics if key.startswith("fullgrad")]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@every_callback
def test_two_validation_loaders(name: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, CALLBACKS[name]())
    run.fit(module(), loader(40), [loader(24), loader(16, seed=2)])
    logged = [key for key in run.callback_metrics if key.startswith("fullgrad")]
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
    run = trainer(tmp_path, CALLBACKS[name](), num_sanity_val_steps=0)
    with pytest.raises(RuntimeError, match="in the middle"):
        run.validate(model, loader(24, batch_size=4), verbose=False)
    for part in model.modules():
        assert not part._forward_hooks and not part._forward_pre_hooks
        assert not part._backward_hooks and not part._backward_pre_hooks
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert all(parameter.requires_grad for parameter in model.parameters())


@every_callback
@pytest.mark.parametrize("strategy", ["FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy"])
def test_sharded_strategies_are_refused(name: str, strategy: str, tmp_path: Path) -> None:
    run, callback = trainer(tmp_path), CALLBACKS[name]()
    run.strategy.__class__ = type(strategy, (type(run.strategy),), {})  # none runs on one CPU
    with pytest.raises(ValueError, match=rf"shards it \({strategy}\).*ddp"):
        callback.setup(run, module(), "fit")
