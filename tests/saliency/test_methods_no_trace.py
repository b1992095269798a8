"""Every saliency method leaves the model and the process as they were, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.decomposition.redrawn import images, redraw
from tests.decomposition.test_no_trace import Net, assert_same, state
from tests.saliency.methods import CONTROLS, every_method, make


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
