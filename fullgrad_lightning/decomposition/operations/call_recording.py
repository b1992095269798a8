"""Records calls of PyTorch operations: canonical names, activations among the leaves."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from fullgrad_lightning.decomposition.operations.op_call import Function, OpCall, random_generator
from fullgrad_lightning.decomposition.operations.table import find_operation


def record_call(
    func: Function, args: Any, kwargs: Any, descends: Callable[[Tensor], bool]
) -> OpCall:
    """Records a call that is about to be made."""
    leaves, structure = _flattened(args, kwargs)
    tensors = [(i, leaf) for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    active = tuple(i for i, tensor in tensors if tensor.requires_grad and descends(tensor))
    op, in_place = op_name(func)
    device = leaves[active[0]].device.type if active else "cpu"
    autocast = (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
    random_state = None
    if active and find_operation(op).is_random:
        random_state = random_generator(device).get_rng_state()
    return OpCall(func, op, in_place, tuple(leaves), structure, active, autocast, random_state)


def _flattened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Any], Any]:
    """The leaves of the arguments, and the structure that restores the arguments from them.

    Where no container can hold a tensor, the structure is the names of the keyword arguments.
    """
    leaves = (*args, *kwargs.values())
    for leaf in leaves:
        if isinstance(leaf, (tuple, list, dict)) and not all(type(e) is int for e in leaf):
            return pytree.tree_flatten((args, kwargs))
    return leaves, tuple(kwargs)


@functools.lru_cache(maxsize=4096)
def op_name(func: Function) -> tuple[str, bool]:
    """Canonical name of an operation, and True if it writes to its first operand.

    ``Tensor.__radd__``, ``torch.add`` and ``Tensor.add_`` are all ``add``; ``x.T`` is ``T``;
    ``torch.ops.aten.relu.default`` is ``relu``.
    """
    name = str(getattr(func, "__name__", type(func).__name__))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", name)), False
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
    """Returns whether an operation is Python code that calls others, which are traced instead."""
    return isinstance(func, types.FunctionType) and not find_operation(func.__name__).is_one_site


@functools.lru_cache(maxsize=1024)
def expand_composite(func: types.FunctionType) -> Function:
    """Returns a composite operation that runs its body under a torch-function mode.

    PyTorch's own composites first check ``has_torch_function`` and, while a mode is active, pass
    themselves to it, again and again. In the globals of the function returned, that check is false.
    """
    checks = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    false = {name: lambda *_: False for name in checks if name in func.__globals__}
    scope, name = {**func.__globals__, **false}, func.__name__
    body = types.FunctionType(func.__code__, scope, name, func.__defaults__, func.__closure__)
    body.__kwdefaults__ = func.__kwdefaults__
    return body


def _pairs(table: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in table.split())


_DUNDERS = _pairs("radd=add rmul=mul rmatmul=matmul truediv=div invert=bitwise_not")
_IN_PLACE_DUNDERS = _pairs("iadd=add isub=sub imul=mul ipow=pow imatmul=matmul itruediv=div")
_SYNONYMS = _pairs(
    "multiply=mul divide=div true_divide=div subtract=sub concat=cat concatenate=cat clip=clamp"
    " swapaxes=transpose swapdims=transpose moveaxis=movedim _softmax=softmax"
    " special_softmax=softmax native_layer_norm=layer_norm native_group_norm=group_norm"
)
