"""One forward and one backward pass that hand each bias-gradient to a handler as it appears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition.handlers import BiasGradientHandler, HandlerList
from fullgrad_lightning.decomposition.isolation import isolate_model
from fullgrad_lightning.decomposition.operations.bias_rules import Rules, bias_rule
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
    """The output and the input gradient of one pass, which complete its biases.

    Attributes:
        output: f(x), the explained scalar of each sample, (N,).
        input_gradient: ∇ₓf, shaped like x.
    """

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
        target: Which scalar is explained; see ``explained_scalar``.
        handler: Receives each bias-gradient once; a ``HandlerList`` feeds several.
        rules: The table of bias rules.
        keep_all_values: Keep a copy of every activation; enabled automatically where an operation
            is opaque.

    Raises:
        TypeError, ValueError: Bad input; the message says what was expected, and what to do.
        SampleAxisLost: N > 1 and the samples could not be followed; nothing is wrong with N = 1.
    """
    model = validate_model(model)
    validate_input(x)
    validate_target(target, x.shape[0])
    x, frozen, handler = x.detach(), True, HandlerList([handler])
    while True:
        try:
            with isolate_model(model, x, frozen=frozen):
                done = _attempt(model, x, target, handler, rules, keep_all_values)
        except RuntimeError as error:
            if not frozen or "does not require grad" not in str(error):
                raise
            frozen = False  # the model differentiates with respect to its own parameters
            continue
        if done is not None:
            return done
        keep_all_values = True  # something is opaque: its bias needs the values around it


Result = TypeVar("Result")


def whole_or_one_by_one(
    decompose: Callable[[Model, Tensor, Target], Result],
    join: Callable[[list[Result]], Result],
    model: Model,
    x: Tensor,
    target: Target,
) -> Result:
    """Decomposes a batch at once, or sample by sample where the samples could not be followed."""
    try:
        return decompose(model, x, target)
    except SampleAxisLost:
        if x.shape[0] == 1:
            raise
    return join(
        [decompose(model, x[i : i + 1], select_target(target, i)) for i in range(x.shape[0])]
    )


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
    f = _watched_forward(model, x.shape[0], target, tracer)
    if not (keep_all_values or all(is_view(node) for node in tracer.graph.unseen)):
        return None
    return _backward(f, leaf, tracer, handler)


def _watched_forward(model: Model, n: int, target: Target, tracer: Tracer) -> Tensor:
    with tracer.watching(model):
        output = model(tracer.inlet())
        with tracer.scope("target"):
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
    if gradient is None:  # a derivative that is zero everywhere, and undefined to autograd
        gradient = torch.zeros_like(x)
    return PassResult(f.detach(), gradient)
