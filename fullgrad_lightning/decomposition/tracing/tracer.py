"""Traces one forward pass, operation by operation, and prepares the biases for the backward pass.

A torch-function mode intercepts each call before it is made: in-place operations have not yet
overwritten their operands. Each call whose bias is not zero is recorded with the *node* of the
autograd graph that made its output (a tensor may be modified later, its node stays); when the
backward pass brings the gradient there, the bias is computed, passed to a handler and released.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from fullgrad_lightning.decomposition.axes.axis import (
    Axes,
    Axis,
    Operand,
    infer_layout,
    input_axes,
)
from fullgrad_lightning.decomposition.axes.propagation import propagate_axes
from fullgrad_lightning.decomposition.operations.bias_rules import Kind, Rule, Rules
from fullgrad_lightning.decomposition.operations.call_recording import (
    expand_composite,
    is_composite,
    op_name,
    record_call,
)
from fullgrad_lightning.decomposition.operations.op_call import OpCall, find_tensors
from fullgrad_lightning.decomposition.operations.table import autograd_saves_operand, bias_rule
from fullgrad_lightning.decomposition.tracing import batch_norm
from fullgrad_lightning.decomposition.tracing.autograd_graph import (
    ActivationGraph,
    Edge,
    Node,
    gradient_edge,
)
from fullgrad_lightning.decomposition.tracing.pending_bias import (
    BaseView,
    InPlaceGuard,
    PendingBias,
)
from fullgrad_lightning.decomposition.tracing.sites import ModuleScopes, Scope, Site, SiteNames


class Tracer(TorchFunctionMode):
    """Traces the calls of one forward pass.

    Args:
        x: The input, a leaf that requires a gradient.
        is_requested: ``(op, kind) -> bool``, whether the biases of such a site are requested.
        rules: The bias rule of a call.
        keep_all_values: Whether to keep a copy of every value, which opaque operations need.
    """

    def __init__(
        self,
        x: Tensor,
        is_requested: Callable[[str, Kind], bool],
        rules: Rules = bias_rule,
        *,
        keep_all_values: bool = False,
    ) -> None:
        super().__init__()
        model_input = x.clone()  # the model may modify its input in place, which no leaf allows
        self._model_input: Tensor | None = model_input
        self.graph = ActivationGraph(model_input.grad_fn)
        self.pending_biases: list[PendingBias] = []
        self.keep_all_values = keep_all_values
        self.values: dict[Edge, Tensor] = {}
        self.scope_of_untraced: dict[Node, Scope] = {}
        self.scopes = ModuleScopes()
        self._is_requested = is_requested
        self._rules = rules
        self._single = x.shape[0] == 1
        self._axes: dict[Edge, Axes] = {gradient_edge(model_input): input_axes(model_input)}
        self._names = SiteNames()
        self._in_place_guard = InPlaceGuard()
        self._running: list[Any] = []  # composite operations whose bodies are running
        self._position = 0
        self._keep(model_input)

    def take_input(self) -> Tensor:
        """The input for the model, returned once: the tracer keeps no reference to it."""
        model_input, self._model_input = self._model_input, None
        assert model_input is not None
        return model_input

    @contextmanager
    def trace(self, model: object) -> Iterator[None]:
        """Traces all calls made inside, each in its module of ``model``."""

        def claim_outputs(output: object) -> None:
            for tensor in _differentiable(output):
                self.descends(tensor)  # its untraced nodes were made in this module

        with self.scopes.track(model, claim_outputs), self:
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if op_name(func)[0] in _QUERIES or func.__name__ == "__set__" or _inside_functorch():
            return func(*args, **kwargs)
        if is_composite(func) and func not in self._running:
            self._running.append(func)
            try:
                with self:
                    return expand_composite(func)(*args, **kwargs)
            finally:
                self._running.pop()
        call = record_call(func, args, kwargs, self.descends)
        for tensor in call.mutated_tensors():
            self._in_place_guard.settle(tensor)
        if not (call.active and torch.is_grad_enabled()):
            return func(*args, **kwargs)
        return self._run(call, args, kwargs)

    def descends(self, tensor: Tensor) -> bool:
        """Returns whether a tensor was computed from the input, by traced or untraced calls."""
        before = len(self.graph.untraced)
        active = self.graph.descends(tensor)
        for node in self.graph.untraced[before:]:
            self.scope_of_untraced[node] = self.scopes.current
        if active and self.keep_all_values and gradient_edge(tensor) not in self.values:
            self.axes(tensor)
            self._keep(tensor)
        return active

    def axes(self, tensor: Tensor) -> Axes:
        """The batch, height and width axes of an activation; empty if unknown."""
        axes = self._axes.get(gradient_edge(tensor))
        if axes is not None:
            return axes
        # A view that autograd made again, or the output of an untraced operation.
        return self._set_axes(tensor, propagate_axes(None, self._sources(tensor), tensor))

    def kept_value(self, edge: Edge) -> tuple[Tensor, Axis | None]:
        """A kept value and its sample axis."""
        return self.values[edge], self._axes.get(edge, {}).get("sample")

    def name(self, op: str, scope: Scope | None = None) -> str:
        """Names the next call, of ``op`` in a scope, by default the current one."""
        path, module = scope or self.scopes.current
        self._position += 1
        return self._names.name(path, module, op)

    def site(self, name: str, op: str, kind: Kind, shape: torch.Size, axes: Axes) -> Site:
        """The site of the call that was named last."""
        layout = infer_layout(shape, axes)
        return Site(name, op, kind, layout, tuple(shape), self._position, axes.get("sample"))

    def _run(self, call: OpCall, args: Any, kwargs: Any) -> Any:
        operands = self._operands(call)
        if call.op == "batch_norm":
            batch_norm.refuse_batch_statistics(call, operands)
        rule = self._rules(call)
        if rule is not None and not self._is_requested(call.op, rule.kind):
            rule = None
        snapshot, saved = None, not self.keep_all_values and autograd_saves_operand(call)
        if rule is not None and not rule.settled:
            overwritten = not saved and rule.keeps != "either"
            snapshot = call.snapshot(rule.keeps != "shapes", self.keep_all_values, overwritten)
        base, base_axes = call.leaves[0]._base if call.in_place else None, None
        if base is not None and base.requires_grad and self.descends(base):
            base_axes = self.axes(base)
        result = _execute(call, args, kwargs)
        if snapshot is not None and saved:
            snapshot = replace(snapshot, leaves=(result.grad_fn._saved_self, *snapshot.leaves[1:]))
        if rule is not None and type(result) is not Tensor and len(_differentiable(result)) > 1:
            # One output may be computed from another (h from c): behind a copy, only the gradients
            # that come from outside arrive.
            result = pytree.tree_map(_copy, result)
        for number, out in enumerate([call.leaves[0]] if call.in_place else find_tensors(result)):
            returned = not call.in_place and any(out is leaf for leaf in call.activations)
            if returned or not out.requires_grad or not self.graph.descends(out, traced=True):
                continue
            axes = self._register_output(out, propagate_axes(call, operands, out))
            if call.op == "batch_norm":
                batch_norm.make_gradient_contiguous(call.leaves[0], out)
            name = self.name(call.op)
            if base is not None:
                self.graph.descends(base, traced=True)
                if base_axes is None:
                    self._record_rest_of_base(out, base)
                else:
                    self._register_output(base, base_axes)
            if rule is not None:
                site = self.site(name, call.op, rule.kind, out.shape, axes)
                pending = PendingBias(site, rule, snapshot, number, operands, out)
                self.pending_biases.append(pending)
                self._in_place_guard.add(pending)
        return result

    def _record_rest_of_base(self, view: Tensor, base: Tensor) -> None:
        # An activation was written into a part of a constant: the rest of it is a bias.
        rest = BaseView(view, base).outside(base.detach())
        source = Operand(view, self.axes(view), 0)
        axes = self._register_output(base, propagate_axes(None, [source], base))
        site = self.site(self.name("buffer"), "buffer", "constant", base.shape, axes)
        if self._is_requested("buffer", "constant"):
            rule = Rule("constant", lambda _call, _output: rest)
            self.pending_biases.append(PendingBias(site, rule, None, 0, [], base))

    def _register_output(self, tensor: Tensor, axes: Axes) -> Axes:
        self._keep(tensor)
        return self._set_axes(tensor, axes)

    def _set_axes(self, tensor: Tensor, axes: Axes) -> Axes:
        if self._single:  # every value belongs to the one sample
            axes = {**axes, "sample": _ONE_SAMPLE}
        self._axes[gradient_edge(tensor)] = axes
        return axes

    def _operands(self, call: OpCall) -> list[Operand]:
        tensors = [i for i, leaf in enumerate(call.leaves) if isinstance(leaf, Tensor)]
        active = zip(call.active, call.activations, strict=True)
        return [Operand(tensor, self.axes(tensor), tensors.index(i)) for i, tensor in active]

    def _sources(self, tensor: Tensor) -> list[Operand]:
        if tensor._base is not None and tensor._base.requires_grad and self.descends(tensor._base):
            return [Operand(tensor._base.detach(), self.axes(tensor._base), 0)]
        sources: dict[Edge, Operand] = {}
        nodes: list[Node] = [tensor.grad_fn]
        visited = {tensor.grad_fn}
        while nodes:
            for edge in nodes.pop().next_functions:
                if edge in self.values:
                    value, axes = self.values[edge], self._axes.get(edge, {})
                    sources[edge] = Operand(value, axes, len(sources))
                elif edge[0] is not None and edge[0] not in visited:
                    visited.add(edge[0])
                    nodes.append(edge[0])
        return list(sources.values())

    def _keep(self, tensor: Tensor) -> None:
        if self.keep_all_values:
            self.values[gradient_edge(tensor)] = tensor.detach().clone()


def _execute(call: OpCall, args: Any, kwargs: Any) -> Any:
    if call.op == "scaled_dot_product_attention" and call.argument(4, "dropout_p", 0.0) > 0:
        with sdpa_kernel(SDPBackend.MATH):  # the one kernel whose dropout can be repeated
            return call.func(*args, **kwargs)
    return call.func(*args, **kwargs)


def _inside_functorch() -> bool:
    # Inside vmap, grad and jvp, tensors are wrappers; what these return counts as untraced.
    return torch._C._functorch.peek_interpreter_stack() is not None


def _differentiable(result: object) -> list[Tensor]:
    if type(result) is Tensor:
        return [result] if result.requires_grad else []
    return [tensor for tensor in find_tensors(result) if tensor.requires_grad]


def _copy(leaf: object) -> object:
    return leaf.clone() if isinstance(leaf, Tensor) and leaf.requires_grad else leaf


_ONE_SAMPLE = Axis(())
# Called all the time, and never part of the computation.
_QUERIES = frozenset(
    "shape dim ndim size numel stride dtype device requires_grad is_floating_point is_complex"
    " layout is_contiguous is_cuda is_cpu is_leaf grad_fn grad _version _base data_ptr"
    " storage_offset element_size output_nr get_device untyped_storage is_inference is_same_size"
    " __len__ __hash__ __repr__ __format__ _unpack_dual".split()
)
