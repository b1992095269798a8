"""One forward and one backward pass that hand each bias-gradient to a consumer as it appears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition.isolation import isolate_model
from fullgrad_lightning.decomposition.operations.bias_rules import Kind, Rules, bias_rule
from fullgrad_lightning.decomposition.operations.linearization import NotLocalizable
from fullgrad_lightning.decomposition.target import (
    Target,
    explained_scalar,
    select_target,
    validate_target,
)
from fullgrad_lightning.decomposition.tracing.autograd_graph import is_view
from fullgrad_lightning.decomposition.tracing.opaque_regions import hook_opaque_regions
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias, SampleAxisLost
from fullgrad_lightning.decomposition.tracing.sites import Site
from fullgrad_lightning.decomposition.tracing.tracer import Tracer
from fullgrad_lightning.decomposition.validation import validate_input, validate_model

Model = nn.Module | Callable[[Tensor], object]


class BiasGradientHandler(Protocol):
    """What is done with the bias-gradients of one pass. They arrive in the order of the backward
    pass and are gone afterwards: reduce them at once."""

    def wants(self, op: str, kind: Kind) -> bool:
        """Whether the biases of such sites are asked for; the others cost nothing."""

    def receive(self, record: PendingBias, gradient: Tensor) -> None:
        """Takes ∂f/∂y of ``record.site``; its b is ``record.bias(gradient)``."""

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        """Takes ⟨∂f/∂y, b⟩ per sample, (N,), of a site whose b cannot be had as a tensor."""


@dataclass(frozen=True)
class PassResult:
    """What every consumer needs beside the biases.

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
    consumer: BiasGradientHandler,
    *,
    rules: Rules = bias_rule,
    everything: bool = False,
) -> PassResult:
    """Streams the bias-gradients of f at x to a consumer.

    Args:
        model: The network; run in eval mode and left as it was.
        x: (N, …) floating point.
        target: Which scalar is explained; see ``explained_scalar``.
        consumer: Gets each bias-gradient once.
        rules: The table of bias rules.
        everything: Keep a copy of every value (done by itself where an operation cannot be seen).

    Raises:
        TypeError, ValueError: Bad input; the message says what was expected, and what to do.
        SampleAxisLost: N > 1 and the samples could not be followed; nothing is wrong with N = 1.
    """
    model = validate_model(model)
    validate_input(x)
    validate_target(target, x.shape[0])
    x, frozen = x.detach(), True
    while True:
        try:
            with isolate_model(model, x, frozen=frozen):
                done = _attempt(model, x, target, consumer, rules, everything)
        except RuntimeError as error:
            if not frozen or "does not require grad" not in str(error):
                raise
            frozen = False  # the model differentiates with respect to its own parameters
            continue
        if done is not None:
            return done
        everything = True  # something cannot be seen: once more, with what that takes


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
    consumer: BiasGradientHandler,
    rules: Rules,
    everything: bool,
) -> PassResult | None:
    leaf = x.clone().requires_grad_()
    tracer = Tracer(leaf, consumer.wants, rules, everything=everything)
    f = _watched_forward(model, x.shape[0], target, tracer)
    if not (everything or all(is_view(node) for node in tracer.graph.unseen)):
        return None
    return _backward(f, leaf, tracer, consumer)


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


def _backward(f: Tensor, x: Tensor, tracer: Tracer, consumer: BiasGradientHandler) -> PassResult:
    for record in tracer.records:
        record.when_gradient_arrives(_deliver_to(consumer))
    finish = hook_opaque_regions(tracer, consumer.receive_unlocalized)
    (gradient,) = torch.autograd.grad(f.sum(), x, allow_unused=True)
    finish()
    if gradient is None:  # a derivative that is zero everywhere, and undefined to autograd
        gradient = torch.zeros_like(x)
    return PassResult(f.detach(), gradient)


def _deliver_to(consumer: BiasGradientHandler) -> Callable[[PendingBias, Tensor], None]:
    def deliver(record: PendingBias, gradient: Tensor) -> None:
        try:
            consumer.receive(record, gradient)
        except NotLocalizable:
            term = record.unlocalized_term(gradient)
            consumer.receive_unlocalized(record.site.without_place(), term)

    return deliver
