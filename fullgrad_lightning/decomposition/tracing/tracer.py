"""Watches one forward pass, operation by operation, and prepares the backward pass to tell biases.

A torch-function mode sees each call before it is made: in-place operations have not yet destroyed
their operands. For each call whose bias is not zero, a hook is set on the *node* of the autograd
graph that made the output (a tensor may be modified later, its node stays); when the backward pass
brings the gradient there, the bias is computed and handed to a consumer, and forgotten.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from fullgrad_lightning.decomposition.axes.axis import (
    ONE_SAMPLE,
    SAMPLE,
    Axes,
    Axis,
    Operand,
    axes_of_input,
)
from fullgrad_lightning.decomposition.axes.propagation import axes_of_output
from fullgrad_lightning.decomposition.axes.spatial_layout import infer_layout
from fullgrad_lightning.decomposition.operations.bias_rules import Kind, Rule, Rules, bias_rule
from fullgrad_lightning.decomposition.operations.closed_forms import saves_operand
from fullgrad_lightning.decomposition.operations.op_call import (
    OpCall,
    expanded,
    is_composite,
    op_name,
    record_call,
    tensors,
)
from fullgrad_lightning.decomposition.tracing.autograd_graph import (
    ActivationGraph,
    Edge,
    Node,
    edge_of,
)
from fullgrad_lightning.decomposition.tracing.batch_norm import (
    mend_batch_norm_backward,
    refuse_batch_statistics,
)
from fullgrad_lightning.decomposition.tracing.pending_bias import (
    BaseView,
    InPlaceGuard,
    PendingBias,
)
from fullgrad_lightning.decomposition.tracing.sites import Site, SiteNames

Scope = tuple[str, nn.Module | None]  # path of a module, and the module


class Tracer(TorchFunctionMode):
    """Watches the calls of one forward pass.

    Args:
        x: The input, a leaf that requires a gradient.
        wants: ``(op, kind) -> bool``, whether the biases of such a site will be asked for.
        rules: The bias rule of a call, or ``None`` where there is no bias.
        keep_all_values: Keep a copy of every value: needed for operations that nobody sees.
    """

    def __init__(
        self,
        x: Tensor,
        wants: Callable[[str, Kind], bool],
        rules: Rules = bias_rule,
        *,
        keep_all_values: bool = False,
    ) -> None:
        super().__init__()
        inlet = x.clone()  # the model may modify its input in place, which no leaf allows
        self._inlet: Tensor | None = inlet
        self.graph = ActivationGraph(inlet.grad_fn)
        self.pending_biases: list[PendingBias] = []
        self.keep_all_values = keep_all_values
        self.values: dict[Edge, Tensor] = {}
        self.scope_of_unseen: dict[Node, Scope] = {}
        self._wants = wants
        self._rules = rules
        self._single = x.shape[0] == 1
        self._axes: dict[Edge, Axes] = {edge_of(inlet): axes_of_input(inlet)}
        self._names = SiteNames()
        self._pending = InPlaceGuard()
        self._open: list[Any] = []  # composite operations whose bodies are running
        self._paths: dict[int, str] = {}
        self._scopes: list[Scope] = [("", None)]
        self._position = 0
        self._keep(inlet)

    def inlet(self) -> Tensor:
        """The input for the model, handed out once: nobody else holds it then."""
        inlet, self._inlet = self._inlet, None
        assert inlet is not None
        return inlet

    @contextmanager
    def watching(self, model: object) -> Iterator[None]:
        """Watches all calls made inside, and knows in which module of ``model`` they are made."""
        with ExitStack() as stack:
            network = getattr(model, "__self__", model)  # of a bound method, the module
            if isinstance(network, nn.Module):
                # torch.compile wraps a module in another of this name.
                self._paths = {
                    id(module): ".".join(n for n in path.split(".") if n != "_orig_mod")
                    for path, module in network.named_modules()
                }
                # Two hooks for all modules: a pair for each costs more than small layers do.
                # Compiled modules, which run eagerly here, would warn of them.
                stack.enter_context(warnings.catch_warnings())
                warnings.filterwarnings(
                    "ignore", "Using `torch.compile.* global hooks", UserWarning
                )
                stack.callback(register_module_forward_pre_hook(self._enter).remove)
                hook = register_module_forward_hook(self._leave, always_call=True)
                stack.callback(hook.remove)
            stack.enter_context(self)
            yield

    @contextmanager
    def scope(self, path: str) -> Iterator[None]:
        """Names the calls made inside after ``path``."""
        self._scopes.append((path, None))
        yield
        self._scopes.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if op_name(func)[0] in _QUERIES or func.__name__ == "__set__" or _inside_functorch():
            return func(*args, **kwargs)
        if is_composite(func) and func not in self._open:
            self._open.append(func)
            try:
                with self:
                    return expanded(func)(*args, **kwargs)
            finally:
                self._open.pop()
        call = record_call(func, args, kwargs, self.descends)
        for tensor in call.written_to():
            self._pending.settle(tensor)
        if not (call.active and torch.is_grad_enabled()):
            return func(*args, **kwargs)
        return self._run(call, args, kwargs)

    def descends(self, tensor: Tensor) -> bool:
        """Whether a tensor was computed from the input, by calls that were watched or unseen."""
        before = len(self.graph.unseen)
        active = self.graph.descends(tensor)
        for node in self.graph.unseen[before:]:
            self.scope_of_unseen[node] = self._scopes[-1]
        if active and self.keep_all_values and edge_of(tensor) not in self.values:
            self.axes(tensor)
            self._keep(tensor)
        return active

    def axes(self, tensor: Tensor) -> Axes:
        """Where an activation holds batch, height and width; empty if unknown."""
        known = self._axes.get(edge_of(tensor))
        if known is None:
            # A view that autograd made anew, or the output of something unseen.
            known = self._set_axes(tensor, axes_of_output(None, self._sources(tensor), tensor))
        return known

    def kept(self, edge: Edge) -> tuple[Tensor, Axis | None]:
        """A kept value, and where it holds the samples."""
        return self.values[edge], self._axes.get(edge, {}).get(SAMPLE)

    def site(
        self, op: str, kind: Kind, shape: torch.Size, axes: Axes, scope: Scope | None = None
    ) -> Site:
        """A new site, made by ``op`` in the module that is running or was then."""
        return self._site(self._name(op, scope), op, kind, shape, axes)

    def _name(self, op: str, scope: Scope | None = None) -> str:
        path, module = scope or self._scopes[-1]
        self._position += 1
        return self._names.name(path, module, op)

    def _site(self, name: str, op: str, kind: Kind, shape: torch.Size, axes: Axes) -> Site:
        layout = infer_layout(shape, axes)
        return Site(name, op, kind, layout, tuple(shape), self._position, axes.get(SAMPLE))

    def _run(self, call: OpCall, args: Any, kwargs: Any) -> Any:
        operands = self._operands(call)
        if call.op == "batch_norm":
            refuse_batch_statistics(call, operands)
        rule = self._rules(call)
        if rule is not None and not self._wants(call.op, rule.kind):
            rule = None
        frozen, saved = None, not self.keep_all_values and saves_operand(call)
        if rule is not None and not rule.settled:
            rescue = not saved and rule.keeps != "either"
            frozen = call.frozen(rule.keeps != "shapes", copy=self.keep_all_values, rescue=rescue)
        base = call.leaves[0]._base if call.in_place else None
        base_axes = None
        if base is not None and base.requires_grad and self.descends(base):
            base_axes = self.axes(base)
        result = _execute(call, args, kwargs)
        if frozen is not None and saved:
            frozen = replace(frozen, leaves=(result.grad_fn._saved_self, *frozen.leaves[1:]))
        if rule is not None and type(result) is not Tensor and len(_differentiable(result)) > 1:
            # One output may be computed from another (h from c): the gradients that come from
            # outside are told apart behind a copy.
            result = pytree.tree_map(_copy, result)
        for number, out in enumerate([call.leaves[0]] if call.in_place else tensors(result)):
            returned = not call.in_place and any(out is leaf for leaf in call.activations)
            if returned or not out.requires_grad or not self.graph.claim(out):
                continue
            axes = self._made(out, axes_of_output(call, operands, out))
            if call.op == "batch_norm":
                mend_batch_norm_backward(call.leaves[0], out)
            name = self._name(call.op)
            if base is not None:
                self.graph.claim(base)
                if base_axes is None:
                    self._record_rest_of_base(out, base)
                else:
                    self._made(base, base_axes)
            if rule is not None:
                site = self._site(name, call.op, rule.kind, out.shape, axes)
                record = PendingBias(site, rule, frozen, number, operands, out)
                self.pending_biases.append(record)
                self._pending.add(record)
        return result

    def _record_rest_of_base(self, view: Tensor, base: Tensor) -> None:
        # An activation was written into a part of a constant: the rest of it is a bias.
        rest = BaseView(view, base).outside(base.detach())
        source = Operand(view, self.axes(view), 0)
        axes = self._made(base, axes_of_output(None, [source], base))
        site = self.site("buffer", "constant", base.shape, axes)
        if self._wants("buffer", "constant"):
            rule = Rule("constant", lambda _call, _output: rest)
            self.pending_biases.append(PendingBias(site, rule, None, 0, [], base))

    def _made(self, tensor: Tensor, axes: Axes) -> Axes:
        self._keep(tensor)
        return self._set_axes(tensor, axes)

    def _set_axes(self, tensor: Tensor, axes: Axes) -> Axes:
        if self._single:  # one sample cannot be lost
            axes = {**axes, SAMPLE: ONE_SAMPLE}
        self._axes[edge_of(tensor)] = axes
        return axes

    def _operands(self, call: OpCall) -> list[Operand]:
        indices = [i for i, leaf in enumerate(call.leaves) if isinstance(leaf, Tensor)]
        return [
            Operand(call.leaves[i], self.axes(call.leaves[i]), indices.index(i))
            for i in call.active
        ]

    def _sources(self, tensor: Tensor) -> list[Operand]:
        if tensor._base is not None and tensor._base.requires_grad and self.descends(tensor._base):
            return [Operand(tensor._base.detach(), self.axes(tensor._base), 0)]
        found: dict[Edge, Operand] = {}
        nodes: list[Node] = [tensor.grad_fn]
        visited = set(nodes)
        while nodes:
            for edge in nodes.pop().next_functions:
                if edge in self.values:
                    value, axes = self.values[edge], self._axes.get(edge, {})
                    found[edge] = Operand(value, axes, len(found))
                elif edge[0] is not None and edge[0] not in visited:
                    visited.add(edge[0])
                    nodes.append(edge[0])
        return list(found.values())

    def _keep(self, tensor: Tensor) -> None:
        if self.keep_all_values:
            self.values[edge_of(tensor)] = tensor.detach().clone()

    def _enter(self, module: nn.Module, _inputs: object) -> None:
        if (path := self._paths.get(id(module))) is not None:
            self._scopes.append((path, module))

    def _leave(self, module: nn.Module, _inputs: object, output: object) -> None:
        if id(module) in self._paths:
            for tensor in _differentiable(output):
                self.descends(tensor)  # what nobody saw was made in this module
            self._scopes.pop()


def _execute(call: OpCall, args: Any, kwargs: Any) -> Any:
    if call.op == "scaled_dot_product_attention" and call.argument(4, "dropout_p", 0.0) > 0:
        with sdpa_kernel(SDPBackend.MATH):  # the one kernel whose dropout can be repeated
            return call.func(*args, **kwargs)
    return call.func(*args, **kwargs)


def _inside_functorch() -> bool:
    # vmap, grad and jvp see their own tensors; what they return is treated as unseen.
    return torch._C._functorch.peek_interpreter_stack() is not None


def _differentiable(result: object) -> list[Tensor]:
    if type(result) is Tensor:
        return [result] if result.requires_grad else []
    return [tensor for tensor in tensors(result) if tensor.requires_grad]


def _copy(leaf: object) -> object:
    return leaf.clone() if isinstance(leaf, Tensor) and leaf.requires_grad else leaf


# Asked of tensors all the time, and never part of the computation.
_QUERIES = frozenset(
    "shape dim ndim size numel stride dtype device requires_grad is_floating_point is_complex"
    " layout is_contiguous is_cuda is_cpu is_leaf grad_fn grad _version _base data_ptr"
    " storage_offset element_size output_nr get_device untyped_storage is_inference is_same_size"
    " __len__ __hash__ __repr__ __format__ _unpack_dual".split()
)
