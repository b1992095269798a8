"""Tracks which autograd nodes depend on the input, and which no traced call made."""

from __future__ import annotations

from typing import Any

from torch import Tensor

Node = Any  # torch.autograd.graph.Node; its C++ subclasses are not typed
Edge = tuple[Node, int]

# Views that autograd makes again by itself after an in-place operation on their base.
_VIEWS = frozenset(
    f"{name}Backward0"
    for name in (
        "AsStrided Slice Select View UnsafeView Permute Transpose T Expand Squeeze Unsqueeze Alias"
        " Diagonal ReshapeAlias Unfold Real Imag ViewAsReal ViewAsComplex Conj Narrow"
    ).split()
)


class ActivationGraph:
    """The part of the autograd graph between ``root``, the input's node, and all that follows it.

    Nodes are kept alive, and with them their identity; what they saved is freed by the backward
    pass as always.
    """

    def __init__(self, root: Node) -> None:
        self._descends: dict[Node, bool] = {root: True}
        self.untraced: list[Node] = []

    def descends(self, tensor: Tensor, *, traced: bool = False) -> bool:
        """Returns whether a tensor was computed from the input.

        New nodes count as untraced, unless the tensor is the fresh output of a traced call.
        """
        node: Node | None = tensor.grad_fn
        if node is None:
            return False
        if (descends := self._descends.get(node)) is not None:
            return descends
        stack = [node]
        while stack:
            top = stack[-1]
            parents = [parent for parent, _ in top.next_functions if parent is not None]
            unexplored = [parent for parent in parents if parent not in self._descends]
            stack.extend(unexplored)
            if unexplored or stack.pop() in self._descends:
                continue
            self._descends[top] = any(self._descends[parent] for parent in parents)
            if self._descends[top] and not traced:
                self.untraced.append(top)
        return self._descends[node]


def is_view(node: Node) -> bool:
    """Returns whether a node is a view that autograd may make by itself; a view has no bias."""
    return node.name() in _VIEWS


def gradient_edge(tensor: Tensor) -> Edge:
    """The node and output number at which a tensor's gradient arrives."""
    return tensor.grad_fn, tensor.output_nr
