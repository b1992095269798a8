"""A decomposition leaves the model and the process as they were, after exceptions too."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import images, redraw


class Net(nn.Module):
    """Everything that could be disturbed: modes, buffers, gradients, hooks, random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.frozen = nn.Conv2d(6, 6, 1).requires_grad_(False)
        self.dropout, self.head = nn.Dropout(0.5), nn.Linear(6, 4)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("latest", torch.zeros(3))
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.latest = x.detach()[0, :, 0, 0].clone()
        random.random(), np.random.rand(), torch.rand(1)
        x = F.silu(self.frozen(torch.relu_(self.bn(self.conv(x)))), inplace=True)
        if self.fails:
            raise KeyError("in the forward pass")
        return self.head(self.dropout(x.mean((2, 3))))


@pytest.fixture
def net() -> Net:
    net = redraw(Net())
    net.train()
    net.bn.eval()  # mixed modes are to be kept as they are
    net.head.register_forward_hook(lambda *_: None)
    net(images()).sum().backward()
    return net


def state(net: nn.Module) -> dict[str, Any]:
    return {
        "training": {name: m.training for name, m in net.named_modules()},
        "requires_grad": {name: p.requires_grad for name, p in net.named_parameters()},
        "grad": {n: None if p.grad is None else p.grad.clone() for n, p in net.named_parameters()},
        "grad_is": {n: id(p.grad) for n, p in net.named_parameters()},
        "tensors": {n: t.clone() for n, t in net.state_dict(keep_vars=True).items()},
        "tensors_are": {n: id(t) for n, t in net.state_dict(keep_vars=True).items()},
        "hooks": {
            name: [list(getattr(m, kind)) for kind in vars(m) if kind.endswith("_hooks")]
            for name, m in net.named_modules()
        },
        "attributes": {name: sorted(vars(m)) for name, m in net.named_modules()},
        "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()),
        "modes": (
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"),
            len(torch.overrides._get_current_function_mode_stack()),
            torch.backends.cudnn.enabled, torch.backends.cuda.math_sdp_enabled(),
            torch.backends.cuda.flash_sdp_enabled(),
        ),
    }  # fmt: skip


def assert_same(before: object, after: object, where: str = "") -> None:
    if isinstance(before, dict):
        assert before.keys() == after.keys(), where
        for key in before:
            assert_same(before[key], after[key], f"{where}.{key}")
    elif isinstance(before, (Tensor, np.ndarray)):
        assert type(before) is type(after) and bool((before == after).all()), where
    elif isinstance(before, (list, tuple)):
        assert len(before) == len(after), where
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            assert_same(one, other, f"{where}[{i}]")
    else:
        assert before == after, where


CONSUMERS = [fgl.full_gradients, fgl.attribution_budget, fgl.layer_maps]


@pytest.mark.parametrize("decompose", CONSUMERS)
def test_model_and_process_are_as_before(net: Net, decompose: Callable[..., object]) -> None:
    x = images()
    x_before, before = x.clone(), state(net)
    decompose(net, x, 1)
    assert_same(before, state(net))
    assert torch.equal(x, x_before) and not x.requires_grad and x.grad is None


@pytest.mark.parametrize("decompose", CONSUMERS)
def test_after_an_exception_in_the_forward_pass(net: Net, decompose: Callable[..., object]) -> None:
    net.fails = True
    before = state(net)
    with pytest.raises(KeyError, match="in the forward pass"):
        decompose(net, images())
    assert_same(before, state(net))


def test_after_an_exception_in_the_target_and_in_the_backward_pass(net: Net) -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            raise ArithmeticError("in the backward pass")

    before = state(net)
    with pytest.raises(ArithmeticError, match="in the backward pass"):
        fgl.full_gradients(net, images(), lambda y: Fails.apply(y[:, 0]))
    with pytest.raises(ZeroDivisionError):
        fgl.full_gradients(net, images(), lambda y: 1 // 0)
    assert_same(before, state(net))


def test_a_training_run_goes_on_bit_identically() -> None:
    def train(watch: bool) -> dict[str, Tensor]:
        torch.manual_seed(3)
        net = Net().double().train()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for step in range(6):
            net(images(8, seed=step)).square().sum().backward()
            if watch:
                fgl.attribution_budget(net, images(4, seed=50 + step))  # live partial gradients
            if step % 2:
                optimizer.step()
                optimizer.zero_grad()
        return net.state_dict()

    assert_same(train(watch=False), train(watch=True))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_under_no_grad_and_inference_mode(net: Net, mode: Callable[[], Any]) -> None:
    expected = fgl.full_gradients(net, images(), 1)
    with mode():
        before = state(net)
        x = images() * 1.0  # an inference tensor in inference mode
        assert x.is_inference() == (mode is torch.inference_mode)
        got = fgl.full_gradients(net, x, 1)
        assert_same(before, state(net))
    assert torch.equal(got.input_gradient, expected.input_gradient)
    assert torch.equal(got.residual, expected.residual)
    assert not got.input_gradient.is_inference()


def test_frozen_and_trainable_parameters_give_the_same(net: Net) -> None:
    one = fgl.full_gradients(net, images(), 1)
    two = fgl.full_gradients(copy.deepcopy(net).requires_grad_(False), images(), 1)
    assert list(one.bias_gradients) == list(two.bias_gradients)
    for name, gradient in one.bias_gradients.items():
        assert torch.equal(gradient.values, two.bias_gradients[name].values)


@pytest.mark.parametrize(
    ("dtype", "bar"), [(torch.float64, 1e-12), (torch.float32, 1e-4), (torch.bfloat16, 3e-2)]
)
def test_any_dtype(net: Net, dtype: torch.dtype, bar: float) -> None:
    budget = fgl.attribution_budget(net.to(dtype), images().to(dtype), 1)
    assert budget.output.dtype == dtype
    assert budget.relative_residual.max() <= bar


def test_under_autocast(net: Net) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        before = state(net)
        budget = fgl.attribution_budget(net.float(), images().float(), 1)
        assert_same(before["modes"], state(net)["modes"])
    assert budget.output.dtype == torch.bfloat16
    assert budget.relative_residual.max() <= 3e-2


def test_non_reentrant_checkpointing(net: Net) -> None:
    x = images()
    plain = fgl.attribution_budget(net, x, 1)
    kept = fgl.attribution_budget(lambda x: checkpoint(net.eval(), x, use_reentrant=False), x, 1)
    torch.testing.assert_close(
        torch.stack(list(kept.bias_terms.values())), torch.stack(list(plain.bias_terms.values()))
    )


def test_gradients_are_gone_once_they_are_reduced() -> None:
    """Streaming: of twelve bias-gradients of one size, never more than a few are alive at once."""
    import gc
    import weakref

    from fullgrad_lightning.decomposition.attribution_budget import TermCollector

    alive: list[weakref.ref[Tensor]] = []
    most = 0

    class Counting(TermCollector):
        def receive(self, record: Any, gradient: Tensor) -> None:
            nonlocal most
            super().receive(record, gradient)
            alive.append(weakref.ref(gradient))
            most = max(most, sum(ref() is not None for ref in alive))

    from fullgrad_lightning.decomposition.bias_gradients import stream_bias_gradients

    net = redraw(nn.Sequential(*[m for _ in range(12) for m in (nn.Conv2d(3, 3, 1), nn.ReLU())]))
    gc.disable()
    try:
        stream_bias_gradients(net, images(), lambda y: y.mean((1, 2, 3)), Counting())
    finally:
        gc.enable()
    assert len(alive) == 12 and most <= 2


class Square(torch.autograd.Function):
    """A custom function: no call that is watched makes its node."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * gradient


@pytest.mark.parametrize("middle", [F.gelu, Square.apply], ids=["watched", "unseen"])
def test_memory_is_given_back(middle: Callable[[Tensor], Tensor]) -> None:
    """No cycle through autograd's nodes, which no collector would see, keeps a graph alive."""
    import resource

    conv = redraw(nn.Conv2d(3, 16, 3))
    x = images(4, 3, 128, 128)

    def peak_in_mib() -> float:
        fgl.attribution_budget(lambda x: middle(conv(x)).mean((2, 3)), x, 0)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    first = max(peak_in_mib() for _ in range(3))
    last = max(peak_in_mib() for _ in range(20))
    assert last - first < 60  # each pass makes some 40 MiB


def test_class_indices_made_under_inference_mode() -> None:
    model, x = redraw(nn.Sequential(nn.Flatten(), nn.Linear(108, 4))), images()
    expected = fgl.full_gradients(model, x, torch.tensor([1, 2, 3])).output
    with torch.inference_mode():
        target = torch.tensor([1, 2, 3])
        assert torch.equal(fgl.full_gradients(model, x, target).output, expected)
        fgl.FullGrad()(model, x, target)
