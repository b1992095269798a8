"""One forward and one backward pass that stream each bias-gradient to a handler as it appears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition.handlers import BiasGradientHandler, HandlerList
from fullgrad_lightning.decomposition.isolation import isolate_model
from fullgrad_lightning.decomposition.operations.bias_rules import Rules
from fullgrad_lightning.decomposition.operations.table import bias_rule
from fullgrad_lightning.decomposition.target import (
    Target,
    explained_scalar,
    select_target,
    validate_target,
)
from fullgrad_lightning.decomposition.tracing.autograd_graph import is_view
from fullgrad_lightning.decomposition.tracing.opaque_regions import hook_opaque_regions
from fullgrad_lightning.decomposition.tracing.pending_bias import SampleAxisLost
from fullgrad_lightning.decomposition.tracing.tracer import Tracer
from fullgrad_lightning.decomposition.validation import validate_input, validate_model

Model = nn.Module | Callable[[Tensor], object]


@dataclass(frozen=True)
class PassResult:
    """f(x) of each sample, (N,), and ∇ₓf, shaped like x, which complete the biases of a pass."""

    output: Tensor
    input_gradient: Tensor


def stream_bias_gradients(
    model: Model,
    x: Tensor,
    target: Target,
    handler: BiasGradientHandler,
    *,
    rules: Rules = bias_rule,
    keep_all_values: bool = False,
) -> PassResult:
    """Streams the bias-gradients of f at x to a handler.

    Args:
        model: The network; run in eval mode and left as it was.
        x: (N, …) floating point.
        target: The scalar that is explained; see ``explained_scalar``.
        handler: Receives each bias-gradient once; a ``HandlerList`` feeds several.
        rules: The bias rule of each call.
        keep_all_values: Keep a copy of every activation, as is done where an operation is opaque.

    Raises:
        TypeError, ValueError: As ``full_gradients``.
        SampleAxisLost: N > 1 and a sample axis could not be followed; N = 1 always works.
    """
    model = validate_model(model)
    validate_input(x)
    validate_target(target, x.shape[0])
    x, frozen, handler = x.detach(), True, HandlerList([handler])
    while True:
        try:
            with isolate_model(model, x, frozen=frozen):
                result = _attempt(model, x, target, handler, rules, keep_all_values)
        except RuntimeError as error:
            if not frozen or "does not require grad" not in str(error):
                raise
            frozen = False  # the model differentiates with respect to its own parameters
            continue
        if result is not None:
            return result
        keep_all_values = True  # something is opaque: its bias needs the values around it


Result = TypeVar("Result")


def whole_or_one_by_one(
    decompose: Callable[[Model, Tensor, Target], Result],
    join: Callable[[list[Result]], Result],
    model: Model,
    x: Tensor,
    target: Target,
) -> Result:
    """Decomposes a whole batch, or sample by sample where a sample axis could not be followed."""
    try:
        return decompose(model, x, target)
    except SampleAxisLost:
        if x.shape[0] == 1:
            raise
    samples = range(x.shape[0])
    return join([decompose(model, x[i : i + 1], select_target(target, i)) for i in samples])


def _attempt(
    model: Model,
    x: Tensor,
    target: Target,
    handler: BiasGradientHandler,
    rules: Rules,
    keep_all_values: bool,
) -> PassResult | None:
    leaf = x.clone().requires_grad_()
    tracer = Tracer(leaf, handler.wants, rules, keep_all_values=keep_all_values)
    f = _traced_forward(model, x.shape[0], target, tracer)
    if not (keep_all_values or all(is_view(node) for node in tracer.graph.untraced)):
        return None
    return _backward(f, leaf, tracer, handler)


def _traced_forward(model: Model, n: int, target: Target, tracer: Tracer) -> Tensor:
    with tracer.trace(model):
        output = model(tracer.take_input())
        with tracer.scopes.enter("target"):
            f = explained_scalar(output, target, n)
            depends = f.requires_grad and tracer.descends(f)
    if not depends:
        raise ValueError(
            "The explained output does not depend on x through differentiable operations. Does the "
            "model run under torch.no_grad(), detach its features, or return class indices?"
        )
    return f


def _backward(f: Tensor, x: Tensor, tracer: Tracer, handler: BiasGradientHandler) -> PassResult:
    for pending in tracer.pending_biases:
        pending.on_gradient(handler.receive)
    finish = hook_opaque_regions(tracer, handler.receive_unlocalized)
    (gradient,) = torch.autograd.grad(f.sum(), x, allow_unused=True)
    finish()
    if gradient is None:  # a derivative that is zero everywhere is undefined to autograd
        gradient = torch.zeros_like(x)
    return PassResult(f.detach(), gradient)
