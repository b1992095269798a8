"""What every saliency method promises, whatever it computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.saliency.method import SaliencyMethod
from fullgrad_lightning.saliency.registry import saliency_method, saliency_methods
from tests.decomposition.redrawn import images, redraw
from tests.decomposition.test_no_trace import Net, assert_same, state

# Few draws and steps: what is promised does not depend on how many.
OPTIONS: dict[str, dict[str, Any]] = {
    "smooth_fullgrad": {"n_samples": 5},
    "smoothgrad": {"n_samples": 5},
    "smoothgrad_squared": {"n_samples": 5},
    "vargrad": {"n_samples": 5},
    "integrated_gradients": {"n_steps": 8},
}
STOCHASTIC = {"smooth_fullgrad", "smoothgrad", "smoothgrad_squared", "vargrad", "random"}
CONTROLS = {"random", "sobel"}
CHUNKED = [
    "integrated_gradients", "smooth_fullgrad", "smoothgrad", "smoothgrad_squared", "vargrad",
]  # fmt: skip

every_method = pytest.mark.parametrize("name", saliency_methods())


def make(name: str, **options: Any) -> SaliencyMethod:
    return saliency_method(name, **{**OPTIONS.get(name, {}), **options})


def relative_error(got: Tensor, expected: Tensor) -> float:
    """max|got − expected| / max|expected|, 0/0 = 0: a map of Grad-CAM may be zero everywhere."""
    error, size = (got - expected).abs().max(), expected.abs().max()
    return 0.0 if error == 0 else float(error / size)


class Classifier(nn.Module):
    """Biases of every kind, an in-place ReLU, an implicit bias, two resolutions."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.one, self.bn = nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.two, self.head = nn.Conv2d(8, 6, 3, padding=1), nn.Linear(6, 5)
        self.rows = 0  # the most that ran at once

    def forward(self, x: Tensor) -> Tensor:
        self.rows = max(self.rows, len(x))
        x = F.max_pool2d(F.relu(self.bn(self.one(x)), inplace=True), 2)
        return self.head(F.gelu(self.two(x)).mean((2, 3)))


@pytest.fixture
def net() -> Net:
    net = redraw(Net())
    net.train()
    net.bn.eval()
    net.head.register_forward_hook(lambda *_: None)
    net.conv.register_forward_hook(lambda *_: None)
    net(images()).sum().backward()
    return net


@every_method
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 3, 9, 9), (2, 1, 8, 13), (3, 13, 11, 6)])
def test_shape_and_dtype(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = images(*shape).to(dtype).requires_grad_()
    saliency = make(name)(redraw(Classifier(shape[1])).to(dtype), x)
    assert saliency.shape == (shape[0], 1, *shape[2:])
    assert saliency.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert saliency.device == x.device and not saliency.requires_grad and x.grad is None
    assert saliency.isfinite().all() and (saliency >= 0).all()
    assert (saliency.flatten(1).amax(1) > saliency.flatten(1).amin(1)).all()


@every_method
@pytest.mark.parametrize("ids", [None, torch.tensor([7, -3, 2**62, 7])], ids=["hashed", "given"])
def test_a_sample_has_the_same_map_alone_and_in_any_batch(name: str, ids: Tensor | None) -> None:
    net, method = redraw(Classifier()).float(), make(name)
    x, targets = images(4, 3, 12, 10).float(), torch.tensor([4, 0, 2, 1])
    together = method(net, x, targets, sample_ids=ids)
    assert (together.flatten(1).amax(1) > 0).sum() >= 2
    order = torch.tensor([2, 0, 3, 1])
    shuffled = method(net, x[order], targets[order], sample_ids=None if ids is None else ids[order])
    for i in range(4):
        alone = method(net, x[i : i + 1], targets[i : i + 1], sample_ids=_of(ids, i))
        assert relative_error(together[i], alone[0]) <= 1e-5
        assert relative_error(shuffled[order.tolist().index(i)], alone[0]) <= 1e-5


def _of(ids: Tensor | None, i: int) -> Tensor | None:
    return None if ids is None else ids[i : i + 1]


@every_method
def test_randomness_depends_on_the_sample_id_alone(name: str) -> None:
    net, method = redraw(Classifier()), make(name)
    x = images(1, 3, 8, 8).expand(3, -1, -1, -1)
    saliency = method(net, x, 1, sample_ids=torch.tensor([5, 6, 5]))
    torch.testing.assert_close(saliency[0], saliency[2])
    assert (relative_error(saliency[1], saliency[0]) > 1e-3) == (name in STOCHASTIC)
    hashed = method(net, x, 1)
    torch.testing.assert_close(hashed[0], hashed[1])
    if name in STOCHASTIC:
        other = make(name, seed=1)(net, x, 1, sample_ids=torch.tensor([5, 6, 5]))
        assert relative_error(other, saliency) > 1e-3
        for bad in (torch.tensor([1, 2]), torch.rand(3)):
            with pytest.raises(ValueError, match="sample_ids must hold one integer per sample"):
                method(net, x, 1, sample_ids=bad)


def test_randomness_is_the_same_in_another_process() -> None:
    code = (
        "from tests.saliency.test_methods_contract import *\n"
        "net, x = redraw(Classifier()), images(2, 3, 8, 8)\n"
        "print(json.dumps([make(n)(net, x, 1).flatten().tolist() for n in sorted(STOCHASTIC)]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    net, x = redraw(Classifier()), images(2, 3, 8, 8)
    expected = [make(n)(net, x, 1).flatten().tolist() for n in sorted(STOCHASTIC)]
    torch.testing.assert_close(torch.tensor(json.loads(run.stdout)), torch.tensor(expected))


@every_method
def test_all_kinds_of_target(name: str) -> None:
    net, x = redraw(Classifier()), images(3, 3, 8, 8)
    # So much noise that the top class of noisy copies is another: None means that of the clean one.
    method = make(name, **({"noise_level": 3.0} if "noise_level" in option_names(name) else {}))
    top = net.eval()(x).argmax(1)
    assert_same(method(net, x), method(net, x, top))
    expected = method(net, x, torch.full((3,), 2))
    assert_same(method(net, x, 2), expected)
    torch.testing.assert_close(method(net, x, lambda y: y[:, 2]), expected)
    other = relative_error(method(net, x, 0), expected)
    assert other == 0 if name in CONTROLS else other > 1e-3


def option_names(name: str) -> set[str]:
    return {option.name for option in fields(make(name))}  # type: ignore[arg-type]


@every_method
def test_bad_input_is_refused(name: str) -> None:
    net, method, x = redraw(Classifier()), make(name), images(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"shape \(N, C, H, W\), got \(3, 8, 8\)"):
        method(net, x[0])
    with pytest.raises(ValueError, match="NaN or infinity in sample 1"):
        method(net, torch.stack((x[0], x[1] / 0)))
    with pytest.raises(TypeError, match=r"got torch\.int64"):
        method(net, x.long())
    with pytest.raises(ValueError, match=r"must have shape \(2,\)"):
        method(net, x, torch.tensor([1, 2, 3]))
    with pytest.raises(TypeError, match="model must be"):
        method(3, x)  # type: ignore[arg-type]
    if name not in CONTROLS:
        with pytest.raises(ValueError, match="outside 0…4"):
            method(net, x, 5)


@every_method
def test_an_output_that_does_not_depend_on_the_image_is_refused(name: str) -> None:
    class Cut(Classifier):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.detach())

    method, x = make(name), images(2, 3, 8, 8)
    if name in CONTROLS:
        assert method(redraw(Cut()), x).shape == (2, 1, 8, 8)
    elif name != "gradcam":  # which needs the gradient at a layer alone
        with pytest.raises(ValueError, match="does not depend on x"):
            method(redraw(Cut()), x, 1)


@every_method
def test_model_and_process_are_as_before(name: str, net: Net) -> None:
    x = images(2)
    x_before, before = x.clone(), state(net)
    first = make(name)(net, x)
    assert_same(before, state(net))
    assert torch.equal(x, x_before) and not x.requires_grad and x.grad is None
    assert torch.equal(make(name)(net, x), first)


@every_method
def test_they_are_so_after_an_exception(name: str, net: Net) -> None:
    def expected(error: type[Exception]) -> AbstractContextManager[object]:
        return nullcontext() if name in CONTROLS else pytest.raises(error)

    before = state(net)
    with expected(ZeroDivisionError):
        make(name)(net, images(2), lambda y: 1 // 0)
    assert_same(before, state(net))
    net.fails = True
    with expected(KeyError):
        make(name)(net, images(2), 1)
    assert_same(before, state(net))


@every_method
def test_after_an_exception_in_the_backward_pass(name: str, net: Net) -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            raise ArithmeticError("in the backward pass")

    before = state(net)
    with nullcontext() if name in CONTROLS else pytest.raises(ArithmeticError):
        make(name)(net, images(2), lambda y: Fails.apply(y[:, 0]))
    assert_same(before, state(net))


@every_method
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_under_no_grad_and_inference_mode(name: str, net: Net, mode: Callable[[], Any]) -> None:
    expected = make(name)(net, images(2), 1)
    with mode():
        before = state(net)
        x = images(2) * 1.0
        assert x.is_inference() == (mode is torch.inference_mode)
        got = make(name)(net, x, 1)
        assert_same(before, state(net))
        also = make(name)(net, x)
    assert torch.equal(got, expected)
    assert torch.equal(also, make(name)(net, images(2)))


@pytest.mark.parametrize("name", CHUNKED)
def test_the_internal_batch_bounds_the_rows_and_changes_nothing(name: str) -> None:
    net, x = redraw(Classifier()), images(3, 3, 8, 8)
    targets = torch.tensor([1, 3, 0])
    expected = make(name, internal_batch_size=1000)(net, x, targets)
    for size in (1, 2, 3, 7):
        net.rows = 0
        got = make(name, internal_batch_size=size)(net, x, targets)
        assert net.rows == min(size, 8 if name == "integrated_gradients" else net.rows)
        assert relative_error(got, expected) <= 1e-6


def test_every_method_with_an_internal_batch_is_tested_above() -> None:
    assert {n for n in saliency_methods() if "internal_batch_size" in option_names(n)} == {*CHUNKED}


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        *[(n, {"internal_batch_size": bad}, "internal_batch_size must be an integer ≥ 1")
          for n in CHUNKED for bad in (0, -4, 2.5, None, True)],
        *[(n, {"n_samples": bad}, "n_samples must be an integer ≥ 1")
          for n in CHUNKED[1:] for bad in (0, 1.0, "5")],
        *[(n, {"noise_level": bad}, "noise_level must be ≥ 0")
          for n in CHUNKED[1:] for bad in (-0.1, float("nan"), float("inf"), True)],
        *[(n, {"seed": bad}, "seed must be an integer")
          for n in sorted(STOCHASTIC) for bad in (0.5, None, "0", True)],
        *[("integrated_gradients", {"n_steps": bad}, "n_steps must be an integer ≥ 1")
          for bad in (0, 50.0)],
        *[("gradcam", {"layer": bad}, "layer must be the path of a module")
          for bad in (3, "", nn.Conv2d(1, 1, 1))],
        ("fullgrad", {"sites": "some"}, "sites must be one of"),
        ("simple_fullgrad", {"interpolation": "nearest"}, "interpolation must be one of"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_at_once(name: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        saliency_method(name, **options)


@every_method
def test_options_cannot_be_changed(name: str) -> None:
    method = make(name)
    for option in option_names(name):
        with pytest.raises(FrozenInstanceError):
            setattr(method, option, getattr(method, option))
    assert method == make(name)
