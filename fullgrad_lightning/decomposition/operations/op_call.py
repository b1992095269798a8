"""One call of one PyTorch operation, as a torch-function mode intercepts it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Function = Callable[..., Any]


@dataclass(frozen=True)
class ShapeOnly:
    """Shape, dtype and device of an operand whose values are not kept."""

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
    def original_arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.arguments(self.leaves)

    def arguments(self, leaves: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if isinstance(self.structure, tuple):
            n = len(leaves) - len(self.structure)
            return tuple(leaves[:n]), dict(zip(self.structure, leaves[n:], strict=True))
        args, kwargs = pytree.tree_unflatten(list(leaves), self.structure)
        return args, kwargs

    def argument(self, position: int, keyword: str, default: Any = None) -> Any:
        args, kwargs = self.original_arguments
        return args[position] if position < len(args) else kwargs.get(keyword, default)

    def is_active(self, leaf: Any) -> bool:
        return any(leaf is activation for activation in self.activations)

    def is_unary(self) -> bool:
        """Returns whether the first operand is the only activation."""
        return self.active == (0,)

    def mutated_tensors(self) -> list[Tensor]:
        """The tensors that the call may overwrite."""
        schema = getattr(self.func, "_schema", None)  # of operators in torch.ops
        if self.op.startswith("_foreach") or (schema is not None and schema.is_mutable):
            return find_tensors(self.leaves)
        first = list(self.leaves[:1]) if self.in_place else []
        return find_tensors((first, self.original_arguments[1].get("out")))

    def snapshot(
        self, keep_values: bool, copy: bool = False, copy_overwritten: bool = True
    ) -> OpCall:
        """The call without its tensors' histories; copies all values, or what it overwrites.

        Where values are not kept, the shapes of activations are.
        """
        leaves = list(self.leaves)
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor) and i in self.active and not keep_values:
                leaves[i] = ShapeOnly(leaf.shape, leaf.dtype, leaf.device)
            elif isinstance(leaf, Tensor):
                overwritten = self.in_place and i == 0 and copy_overwritten
                leaves[i] = leaf.detach().clone() if copy or overwritten else leaf.detach()
        return replace(self, leaves=tuple(leaves))

    def replay(self, activations: Sequence[Tensor]) -> Any:
        """Runs the operation again on other values of its activations.

        Returns its result; of an in-place operation, the operand that it changed.
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
            _repeated_randomness(device, self.random_state),
        ):
            result = self.func(*args, **kwargs)
        return args[0] if self.in_place else result


def find_tensors(result: object) -> list[Tensor]:
    """All tensors in the result of a call, in order."""
    if isinstance(result, Tensor):
        return [result]
    return [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]


def get_storage_id(tensor: Tensor) -> int | None:
    """Identifies the memory that a tensor and its views share; ``None`` if it has none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse and nested tensors, functorch's wrappers
        return None


def random_generator(device: str) -> Any:
    """The module that holds the random state of a type of device."""
    return torch if device == "cpu" else torch.get_device_module(device)


@contextmanager
def _repeated_randomness(device: str, state: Tensor | None) -> Iterator[None]:
    if state is None:
        yield
        return
    current = random_generator(device).get_rng_state()
    random_generator(device).set_rng_state(state)
    try:
        yield
    finally:
        random_generator(device).set_rng_state(current)
