"""One call of one PyTorch operation, as a torch-function mode sees it."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Function = Callable[..., Any]


@dataclass(frozen=True)
class Shape:
    """Stands for an operand of which only shape, dtype and device are remembered."""

    shape: torch.Size
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class OpCall:
    """``func(*args, **kwargs)``, flattened, with its activations among the leaves.

    An operand is an *activation* if it descends from the network's input; everything else (a
    parameter, a buffer, a number, a detached tensor) is a constant of the call.
    """

    func: Function
    op: str
    in_place: bool
    leaves: tuple[Any, ...]
    structure: Any
    active: tuple[int, ...]
    autocast: tuple[str, torch.dtype, bool]
    random_state: Tensor | None

    @property
    def activations(self) -> tuple[Tensor, ...]:
        return tuple(self.leaves[i] for i in self.active)

    @functools.cached_property
    def own_arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """``args`` and ``kwargs`` as they were given."""
        return self.arguments(self.leaves)

    def arguments(self, leaves: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if isinstance(self.structure, tuple):
            n = len(leaves) - len(self.structure)
            return tuple(leaves[:n]), dict(zip(self.structure, leaves[n:], strict=True))
        args, kwargs = pytree.tree_unflatten(list(leaves), self.structure)
        return args, kwargs

    def argument(self, position: int, keyword: str, default: Any = None) -> Any:
        args, kwargs = self.own_arguments
        return args[position] if position < len(args) else kwargs.get(keyword, default)

    def is_active(self, leaf: Any) -> bool:
        return any(leaf is activation for activation in self.activations)

    def written_to(self) -> list[Tensor]:
        """The tensors that the call may overwrite."""
        schema = getattr(self.func, "_schema", None)  # of operators in torch.ops
        if self.op.startswith("_foreach") or (schema is not None and schema.is_mutable):
            return tensors(self.leaves)
        first = list(self.leaves[:1]) if self.in_place else []
        return tensors((first, self.own_arguments[1].get("out")))

    def frozen(self, keep_values: bool, copy: bool = False, rescue: bool = True) -> OpCall:
        """The call without its tensors' histories, and without the values that are not needed.

        An in-place operation is about to overwrite its first operand, which is copied therefore,
        unless there is no need to ``rescue`` it.
        """
        leaves = list(self.leaves)
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor):
                continue
            if i in self.active and not keep_values:
                leaves[i] = Shape(leaf.shape, leaf.dtype, leaf.device)
            else:
                overwritten = self.in_place and i == 0 and rescue
                leaves[i] = leaf.detach().clone() if copy or overwritten else leaf.detach()
        return replace(self, leaves=tuple(leaves))

    def replay(self, activations: Sequence[Tensor]) -> Any:
        """Runs the operation again, on other values of its activations.

        Returns:
            What the operation returns; of an in-place operation, the operand that it changed.
        """
        leaves = list(self.leaves)
        for i, value in zip(self.active, activations, strict=True):
            leaves[i] = value
        if self.in_place:
            leaves[0] = leaves[0].clone()
        args, kwargs = self.arguments(leaves)
        device, dtype, enabled = self.autocast
        with (
            torch.autocast(device, dtype, enabled, cache_enabled=False),
            _same_randomness(device, self.random_state),
        ):
            result = self.func(*args, **kwargs)
        return args[0] if self.in_place else result


def tensors(result: object) -> list[Tensor]:
    """All tensors in the result of a call, in order."""
    if isinstance(result, Tensor):
        return [result]
    if result is None:
        return []
    return [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]


def memory_of(tensor: Tensor) -> int | None:
    """Identifies the memory that a tensor and its views share; ``None`` if it has none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse and nested tensors, functorch's wrappers
        return None


def record_call(
    func: Function, args: Any, kwargs: Any, descends: Callable[[Tensor], bool]
) -> OpCall:
    """Describes a call that is about to be made."""
    leaves, structure = _flattened(args, kwargs)
    active = tuple(
        i
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, Tensor) and leaf.requires_grad and descends(leaf)
    )
    op, in_place = op_name(func)
    device = leaves[active[0]].device.type if active else "cpu"
    autocast = (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
    random_state = None
    if active and op in _RANDOM:
        random_state = _random(device).get_rng_state()
    return OpCall(func, op, in_place, tuple(leaves), structure, active, autocast, random_state)


def _flattened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Any], Any]:
    """All leaves of the arguments, and how to put them together again.

    Where no container can hold a tensor, as in most calls, arguments are leaves themselves, and
    their structure is the names of those given by name.
    """
    leaves = (*args, *kwargs.values())
    for leaf in leaves:
        if isinstance(leaf, (tuple, list, dict)) and not all(type(e) is int for e in leaf):
            return pytree.tree_flatten((args, kwargs))
    return leaves, tuple(kwargs)


def _random(device: str) -> Any:
    return torch if device == "cpu" else torch.get_device_module(device)


@contextmanager
def _same_randomness(device: str, state: Tensor | None) -> Iterator[None]:
    if state is None:
        yield
        return
    now = _random(device).get_rng_state()
    _random(device).set_rng_state(state)
    try:
        yield
    finally:
        _random(device).set_rng_state(now)


@functools.lru_cache(maxsize=4096)
def op_name(func: Function) -> tuple[str, bool]:
    """Canonical name of an operation, and whether it writes to its first operand.

    ``Tensor.__radd__``, ``torch.add`` and ``Tensor.add_`` are all ``add``; ``x.T`` is ``T``;
    ``torch.ops.aten.relu.default`` is ``relu``.
    """
    name = str(getattr(func, "__name__", type(func).__name__))
    if name == "__get__":
        name = str(getattr(getattr(func, "__self__", None), "__name__", name))
        return name, False
    name = name.split(".")[0]
    if name.startswith("__") and name.endswith("__"):
        bare = name.strip("_")
        if bare in ("setitem", *_IN_PLACE_DUNDERS):
            return _IN_PLACE_DUNDERS.get(bare, bare), True
        return _DUNDERS.get(bare, bare), False
    in_place = name.endswith("_") and not name.endswith("__")
    bare = name.rstrip("_") if in_place else name
    return _SYNONYMS.get(bare, bare), in_place


def is_composite(func: Function) -> bool:
    """Whether an operation is Python code that calls others, which are then watched instead."""
    return isinstance(func, types.FunctionType) and func.__name__ not in _KEPT_WHOLE


@functools.lru_cache(maxsize=1024)
def expanded(func: types.FunctionType) -> Function:
    """A composite operation that, under a torch-function mode, runs its body.

    PyTorch's own composites first ask ``has_torch_function`` and, while a mode is active, hand
    themselves over to it, again and again. This is the same function with other globals, in which
    the question is answered with no.
    """
    names = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    scope = {**func.__globals__, **{name: _no for name in names if name in func.__globals__}}
    body = types.FunctionType(
        func.__code__, scope, func.__name__, func.__defaults__, func.__closure__
    )
    body.__kwdefaults__ = func.__kwdefaults__
    return body


def _no(*_: object) -> bool:
    return False


_DUNDERS = {
    **{f"r{name}": name for name in ("add", "mul", "matmul")},
    "truediv": "div",
    "invert": "bitwise_not",
}
_IN_PLACE_DUNDERS = {
    **{f"i{name}": name for name in ("add", "sub", "mul", "pow", "matmul")},
    "itruediv": "div",
}
_SYNONYMS = {
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "subtract": "sub",
    "concat": "cat",
    "concatenate": "cat",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "moveaxis": "movedim",
    "clip": "clamp",
    "_softmax": "softmax",
    "special_softmax": "softmax",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
}
# These may draw random numbers (dropout that is on in eval mode too) and are not homogeneous.
_RANDOM = frozenset(
    "scaled_dot_product_attention alpha_dropout feature_alpha_dropout native_dropout lstm gru"
    " rnn_tanh rnn_relu normal bernoulli poisson uniform exponential cauchy log_normal geometric"
    " random _standard_gamma _sample_dirichlet multinomial".split()
)
# Composites with a name that people know: one site tells more than its parts.
_KEPT_WHOLE = frozenset({"local_response_norm", "normalize"})
