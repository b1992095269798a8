"""Leaves a model and the process as they were: what one pass must change, and changes back."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


@contextmanager
def undisturbed(model: object) -> Iterator[None]:
    """Runs a network in eval mode with frozen parameters and gradients on, and leaves no trace.

    Training flags of every submodule, ``requires_grad`` of every parameter, buffers, the random
    number generators, grad and inference mode, and torch.compile's stance are restored on exit,
    after an exception too. ``.grad`` is never touched.

    Args:
        model: The network. Of another callable than an ``nn.Module`` only the modes are managed.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_compiled_code_off())
        if isinstance(model, nn.Module):
            stack.enter_context(_rng_kept(model))
            stack.enter_context(_buffers_kept(model))
            stack.enter_context(_eval_mode(model))
            stack.enter_context(_parameters_frozen(model))
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
    kept = [
        (module, name, buffer, None if buffer.is_inference() else buffer._version, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for module, name, buffer, version, copy in kept:
            if version is None or buffer._version != version:
                with torch.no_grad(), torch.inference_mode(buffer.is_inference()):
                    buffer.copy_(copy)
            module._buffers[name] = buffer


@contextmanager
def _rng_kept(model: nn.Module) -> Iterator[None]:
    devices = {t.device for t in (*model.parameters(), *model.buffers())}
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
