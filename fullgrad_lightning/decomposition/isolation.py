"""Isolation of one pass: everything it must change in a model and the process is restored."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def isolate_model(model: object, x: Tensor, *, frozen: bool = True) -> Iterator[None]:
    """Runs a network in eval mode with frozen parameters and gradients on, and leaves no trace.

    Training flags of every submodule, ``requires_grad`` of every parameter, buffers, the random
    number generators, grad and inference mode, and torch.compile's stance are restored on exit,
    after an exception too. ``.grad`` is never touched.

    Args:
        model: The network, or a method of one. Modules that a plain function calls are left alone;
            only the random number generators are restored then.
        x: The input of the network.
        frozen: Whether to freeze the parameters: faster, but not for models that differentiate
            with respect to their own.
    """
    owner = getattr(model, "__self__", model)  # of a bound method, the module
    modules = list(owner.modules()) if isinstance(owner, nn.Module) else []
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_disable_compiled_code())
        stack.enter_context(_preserve_rng(modules, x))
        stack.enter_context(_preserve_buffers(modules))
        stack.enter_context(_eval_mode(modules))
        if frozen:
            stack.enter_context(_freeze_parameters(modules))
        for module in modules:
            if isinstance(module, nn.parallel.DistributedDataParallel):
                stack.enter_context(module.no_sync())  # its reducer must not wait for gradients
        yield


Modules = Sequence[nn.Module]


def _parameters(modules: Modules) -> Iterator[nn.Parameter]:
    return (p for module in modules for p in module._parameters.values() if p is not None)


@contextmanager
def _eval_mode(modules: Modules) -> Iterator[None]:
    # The flags one by one: .train() and .eval() of a user's class may do more than set them.
    training = [module for module in modules if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in modules:
            if module.training:
                module.training = False
        for module in training:
            module.training = True


@contextmanager
def _freeze_parameters(modules: Modules) -> Iterator[None]:
    # With trainable weights, layers would keep their inputs for weight gradients that nobody uses.
    trainable = [p for p in _parameters(modules) if p.requires_grad and p.is_leaf]
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


@contextmanager
def _preserve_buffers(modules: Modules) -> Iterator[None]:
    slots = [(module._buffers, dict(module._buffers)) for module in modules]
    copies = [(b, b.clone()) for _, before in slots for b in before.values() if b is not None]
    try:
        yield
    finally:
        for slot, before in slots:
            slot.clear()
            slot.update(before)
        for buffer, copy in _find_changed(copies):
            if buffer.shape != copy.shape:
                buffer.data = copy
            else:
                with torch.no_grad(), torch.inference_mode(buffer.is_inference()):
                    buffer.copy_(copy)


def _find_changed(copies: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    # By value: writes through .data and NumPy leave the version counter as it is.
    changed, remote = [], []
    for buffer, copy in copies:
        if buffer.shape != copy.shape or (buffer.is_cpu and not torch.equal(buffer, copy)):
            changed.append((buffer, copy))
        elif not buffer.is_cpu:
            remote.append((buffer, copy))
    if remote:  # one transfer for all: each would wait for the GPU
        differ = torch.stack([(b != c).any().to(remote[0][0].device) for b, c in remote]).tolist()
        changed += [pair for pair, differs in zip(remote, differ, strict=True) if differs]
    return changed


@contextmanager
def _preserve_rng(modules: Modules, x: Tensor) -> Iterator[None]:
    buffers = (b for module in modules for b in module._buffers.values() if b is not None)
    devices = {t.device for t in (x, *_parameters(modules), *buffers)}
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
def _disable_compiled_code() -> Iterator[None]:
    # A compiled region is one opaque node; eagerly, its operations can be traced. Where dynamo was
    # never imported nothing is compiled, and importing it takes seconds.
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
