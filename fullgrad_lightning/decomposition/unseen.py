"""Biases of what nobody saw: custom autograd Functions, scripted or otherwise opaque regions.

Their nodes are found in the autograd graph. Of each region one number per sample is known,
Σ⟨g, y⟩ over the values y that leave it minus Σ⟨J_iᵀg, x_i⟩ over those that enter it, where J_iᵀg is
the region's own contribution to the gradient of x_i. It is counted and marked ``not_localized``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.axes import SAMPLE
from fullgrad_lightning.decomposition.graph import Edge, Node
from fullgrad_lightning.decomposition.records import inner_product

if TYPE_CHECKING:
    from fullgrad_lightning.decomposition.stream import Consumer
    from fullgrad_lightning.decomposition.tracer import Tracer


def watch_unseen(tracer: Tracer, consumer: Consumer) -> Callable[[], None]:
    """Prepares the backward pass to tell the biases of unseen regions.

    Returns:
        To be called after the backward pass: hands the terms to the consumer.

    Raises:
        ValueError: A reentrant checkpoint, which no gradient for the input can be taken through.
    """
    _refuse_reentrant_checkpoint(tracer.graph.unseen)
    finishers = [_watch_region(region, tracer, consumer) for region in _regions(tracer)]

    def finish() -> None:
        for finisher in finishers:
            finisher()

    return finish


def _refuse_reentrant_checkpoint(nodes: list[Node]) -> None:
    if any(node.name() == "CheckpointFunctionBackward" for node in nodes):
        raise ValueError(
            "The model uses reentrant activation checkpointing, through which PyTorch computes no "
            "gradient with respect to the input. Call torch.utils.checkpoint.checkpoint(…, "
            "use_reentrant=False)."
        )


def _regions(tracer: Tracer) -> list[list[Node]]:
    """Unseen nodes, those together between which a value was never seen."""
    region_of: dict[Node, list[Node]] = {}
    for node in tracer.graph.unseen:
        merged = [node]
        for edge in node.next_functions:
            neighbour = region_of.get(edge[0])
            if neighbour is not None and edge not in tracer.values and neighbour is not merged:
                neighbour.extend(merged)
                merged = neighbour
        for member in merged:
            region_of[member] = merged
    return list({id(region): region for region in region_of.values()}.values())


def _watch_region(region: list[Node], tracer: Tracer, consumer: Consumer) -> Callable[[], None]:
    op = region[-1].name().removesuffix("Backward0").removesuffix("Backward")
    terms: list[Tensor] = []

    def add(sign: int, gradient: Tensor | None, edge: Edge) -> None:
        value = tracer.values.get(edge)
        if gradient is not None and value is not None:
            axis = tracer.axes_at(edge).get(SAMPLE)
            with torch.no_grad():
                terms.append(sign * inner_product(gradient, value, axis))

    def watch(node: Node) -> None:
        def leaving(gradients: tuple[Tensor | None, ...]) -> None:
            for number, gradient in enumerate(gradients):
                add(1, gradient, (node, number))

        def entering(gradients: tuple[Tensor | None, ...], _: object) -> None:
            for gradient, edge in zip(gradients, node.next_functions, strict=True):
                add(-1, gradient, edge)

        node.register_prehook(leaving)
        node.register_hook(entering)

    for node in region:
        watch(node)

    def finish() -> None:
        if terms:
            scope = tracer.scope_of_unseen[region[-1]]
            site = tracer.site(op, "not_localized", torch.Size(), {}, scope)
            consumer.receive_unlocalized(site, sum(terms[1:], start=terms[0]))

    return finish
