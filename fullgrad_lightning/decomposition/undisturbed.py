"""Leaves a model and the process as they were: what one pass must change, and changes back."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def undisturbed(model: object, x: Tensor, *, frozen: bool = True) -> Iterator[None]:
    """Runs a network in eval mode with frozen parameters and gradients on, and leaves no trace.

    Training flags of every submodule, ``requires_grad`` of every parameter, buffers, the random
    number generators, grad and inference mode, and torch.compile's stance are restored on exit,
    after an exception too. ``.grad`` is never touched.

    Args:
        model: The network, or a method of one. What another function calls stays as it is, except
            for the random number generators.
        x: Its input.
        frozen: Whether to freeze the parameters: faster, but not for models that differentiate
            with respect to their own.
    """
    owner = getattr(model, "__self__", model)  # of a bound method, the module
    network = owner if isinstance(owner, nn.Module) else nn.Module()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_compiled_code_off())
        stack.enter_context(_rng_kept(network, x))
        stack.enter_context(_buffers_kept(network))
        stack.enter_context(_eval_mode(network))
        if frozen:
            stack.enter_context(_parameters_frozen(network))
        for module in network.modules():
            if isinstance(module, nn.parallel.DistributedDataParallel):
                stack.enter_context(module.no_sync())  # its reducer waits for nothing
        yield


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    # The flags one by one: .train() and .eval() of a user's class may do more than set them.
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, training in flags:
            module.training = training


@contextmanager
def _parameters_frozen(model: nn.Module) -> Iterator[None]:
    # With trainable weights, layers would keep their inputs for weight gradients nobody wants.
    trainable = [p for p in model.parameters() if p.requires_grad and p.is_leaf]
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    slots = [(module._buffers, dict(module._buffers)) for module in model.modules()]
    copies = [(b, b.clone()) for _, before in slots for b in before.values() if b is not None]
    try:
        yield
    finally:
        for slot, before in slots:
            slot.clear()
            slot.update(before)
        for buffer, copy in copies:
            # By value: writes through .data and NumPy leave the version counter as it is.
            if buffer.shape != copy.shape:
                buffer.data = copy
            elif not torch.equal(buffer, copy):
                with torch.no_grad(), torch.inference_mode(buffer.is_inference()):
                    buffer.copy_(copy)


@contextmanager
def _rng_kept(model: nn.Module, x: Tensor) -> Iterator[None]:
    devices = {t.device for t in (x, *model.parameters(), *model.buffers())}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng([], device_type="cuda"))  # the CPU's, always
        for kind in {device.type for device in devices} & {"cuda", "xpu"}:
            indices = [device for device in devices if device.type == kind]
            stack.enter_context(torch.random.fork_rng(indices, device_type=kind))
        python = random.getstate()
        numpy = sys.modules.get("numpy")
        numpy_state = numpy.random.get_state() if numpy else None
        try:
            yield
        finally:
            random.setstate(python)
            if numpy:
                numpy.random.set_state(numpy_state)


@contextmanager
def _compiled_code_off() -> Iterator[None]:
    # A compiled region is one opaque node; eagerly, its operations can be seen. Where dynamo was
    # never imported nothing is compiled, and importing it takes seconds.
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
