"""Biases of opaque regions (custom autograd Functions, TorchScript), which no tracer observes.

Their nodes are found in the autograd graph. Each region has one number per sample,
Σ⟨g, y⟩ over the values y that leave it minus Σ⟨J_iᵀg, x_i⟩ over those that enter it, where J_iᵀg is
the region's own contribution to the gradient of x_i. It is counted and marked ``not_localized``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import Axis
from fullgrad_lightning.decomposition.tracing.autograd_graph import Node, is_view
from fullgrad_lightning.decomposition.tracing.pending_bias import inner_product
from fullgrad_lightning.decomposition.tracing.sites import Site
from fullgrad_lightning.decomposition.tracing.tracer import Tracer

Kept = tuple[Tensor, Axis | None]  # a value and its sample axis
Deliver = Callable[[Site, Tensor], None]


def hook_opaque_regions(tracer: Tracer, deliver: Deliver) -> Callable[[], None]:
    """Hooks the nodes of opaque regions for the backward pass, and refuses reentrant checkpoints.

    The function returned delivers each term, (N,), with its site, after the backward pass.
    """
    if any(node.name() == "CheckpointFunctionBackward" for node in tracer.graph.untraced):
        raise ValueError(
            "The model uses reentrant activation checkpointing, through which PyTorch computes no "
            "gradient with respect to the input. Call torch.utils.checkpoint.checkpoint(…, "
            "use_reentrant=False)."
        )
    leaving: defaultdict[Node, dict[int, Kept]] = defaultdict(dict)
    for node, number in tracer.values:
        leaving[node][number] = tracer.kept_value((node, number))
    finishers = [
        _hook_region(region, leaving, tracer, deliver)
        for region in _regions(tracer)
        if not all(is_view(node) for node in region)
    ]

    def finish() -> None:
        for finisher in finishers:
            finisher()

    return finish


def _regions(tracer: Tracer) -> list[list[Node]]:
    """Untraced nodes, grouped where no traced value lies between them."""
    region_of: dict[Node, list[Node]] = {}
    for node in tracer.graph.untraced:
        merged = [node]
        for edge in node.next_functions:
            neighbour = region_of.get(edge[0])
            if neighbour is not None and edge not in tracer.values and neighbour is not merged:
                neighbour.extend(merged)
                merged = neighbour
        for member in merged:
            region_of[member] = merged
    return list({id(region): region for region in region_of.values()}.values())


def _hook_region(
    region: list[Node], leaving: Mapping[Node, dict[int, Kept]], tracer: Tracer, deliver: Deliver
) -> Callable[[], None]:
    op = region[-1].name().removesuffix("Backward0").removesuffix("Backward")
    scope = tracer.scope_of_untraced[region[-1]]
    terms: list[Tensor] = []

    @torch.no_grad()
    def add(sign: int, gradients: tuple[Tensor | None, ...], kept: dict[int, Kept]) -> None:
        for number, (value, sample_axis) in kept.items():
            gradient = gradients[number]
            if gradient is not None:
                terms.append(sign * inner_product(gradient, value, sample_axis))

    def hook(leaving: dict[int, Kept], entering: dict[int, Kept], node: Node) -> None:
        node.register_prehook(lambda gradients: add(1, gradients, leaving))
        node.register_hook(lambda gradients, _: add(-1, gradients, entering))

    for node in region:
        # The hooks are given values, not nodes: a node that held itself would never be freed.
        inputs = enumerate(node.next_functions)
        entering = {i: tracer.kept_value(edge) for i, edge in inputs if edge in tracer.values}
        hook(leaving.get(node, {}), entering, node)

    def finish() -> None:
        if terms:
            site = tracer.site(tracer.name(op, scope), op, "not_localized", torch.Size(), {})
            deliver(site, sum(terms[1:], start=terms[0]))

    return finish
