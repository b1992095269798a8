"""Handlers of bias-gradients: they reduce each one of a pass as it appears."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from fullgrad_lightning.decomposition.operations.bias_rules import Kind
from fullgrad_lightning.decomposition.operations.linearization import NotLocalizable
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias, SampleAxisLost
from fullgrad_lightning.decomposition.tracing.sites import Site


class BiasGradientHandler:
    """Reduces the bias-gradients of one pass of ``stream_bias_gradients``.

    They arrive in the order of the backward pass and are released afterwards. Every site that
    arrives has a sample axis: where it is lost, the pass raises ``SampleAxisLost``.
    """

    def wants(self, op: str, kind: Kind) -> bool:
        """Returns whether the biases of such sites are requested; the others cost nothing."""
        return True

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        """Takes g = ∂f/∂y of ``pending.site``, shaped like y.

        ``pending`` computes b with ``bias(gradient)`` and f^b = g ⊙ b with
        ``bias_gradient(gradient)``. Other handlers receive the same g and b: leave them unmodified.
        """
        raise NotImplementedError

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        """Takes ⟨∂f/∂y, b⟩ per sample, (N,), of a site whose b is not available as a tensor."""


class HandlerList(BiasGradientHandler):
    """Feeds several handlers in one pass, in their order, each with the sites that it requests.

    A bias that several of them use is computed once, and released before the next one.
    """

    def __init__(self, handlers: Iterable[BiasGradientHandler]) -> None:
        self.handlers = tuple(handlers)

    def wants(self, op: str, kind: Kind) -> bool:
        return any(handler.wants(op, kind) for handler in self.handlers)

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        site = pending.site
        if site.sample_axis is None:
            raise SampleAxisLost
        handlers = [handler for handler in self.handlers if handler.wants(site.op, site.kind)]
        if len(handlers) > 1:
            pending.keep_bias = True
        unlocalized = [h for h in handlers if not _receives(h, pending, gradient)]
        if unlocalized:
            term = pending.unlocalized_term(gradient)
            for handler in unlocalized:
                handler.receive_unlocalized(site.not_localized(), term)

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        for handler in self.handlers:
            handler.receive_unlocalized(site, term)


def _receives(handler: BiasGradientHandler, pending: PendingBias, gradient: Tensor) -> bool:
    try:
        handler.receive(pending, gradient)
    except NotLocalizable:
        return False
    return True
