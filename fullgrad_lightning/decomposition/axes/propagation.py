"""Propagation of the batch, height and width axes from operands to outputs.

Reshapes leave the row-major numbering of the elements, and so every axis, as it is. Other views
show in their strides where a dimension went. All remaining operations keep the order of their
dimensions, so that one is found again by its size, if only one place is possible. What cannot be
followed is dropped, never guessed: without its batch axis, a batch is decomposed one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import get_args

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import (
    Axes,
    Axis,
    AxisName,
    Operand,
    Part,
    covers,
    image_axes,
    lies_on_image,
    locate_part,
    split_by_dimension,
)
from fullgrad_lightning.decomposition.axes.token_axes import tokens_after_cat, tokens_after_slice
from fullgrad_lightning.decomposition.operations.op_call import OpCall, get_storage_id
from fullgrad_lightning.decomposition.operations.table import Movement, Operation, find_operation


def propagate_axes(call: OpCall | None, operands: Sequence[Operand], out: Tensor) -> Axes:
    """Axes of an output of a call on these activations; of an unknown operation without a call."""
    movement = _operation(call).axes
    if _operation(call).first_alone:
        operands = [operand for operand in operands if operand.index == 0]
    frequent = _frequent_case(call, movement, operands, out) if call and operands else None
    if frequent is not None:
        return frequent
    axes: dict[AxisName, Axis] = {}
    for name in _NAMES:
        followed = (_follow(call, operand, name, out) for operand in operands)
        candidates = [axis for axis in followed if axis is not None]
        if name == "sample" and len(set(candidates)) == 1:
            axes[name] = candidates[0]
        elif name != "sample" and candidates:
            # Windows leave fewer of the indices than a path around them; of a product of queries
            # and keys, the queries come first.
            axes[name] = max(candidates, key=lambda axis: axis.size)
            elsewhere = [axis for axis in candidates if _top(axis) != _top(axes[name])]
            if elsewhere and movement in _SCORES:
                axes["keys"] = elsewhere[0]
    if movement == "image" and out.ndim == 4:
        for operand in operands:
            if operand.tensor.ndim == 4 and lies_on_image(operand.tensor.shape, operand.axes, 2, 3):
                axes.update(image_axes(out.shape))
    if call and movement == "cat":
        axes.update(tokens_after_cat(call, operands, out))
    elif len(operands) == 1 and "tokens" in operands[0].axes and "tokens" not in axes:
        axes.update(tokens_after_slice(operands[0].tensor, operands[0].axes["tokens"], out))
    return axes


def _frequent_case(
    call: OpCall, movement: Movement, operands: Sequence[Operand], out: Tensor
) -> Axes | None:
    """The same result, sooner, for the two cases that networks mostly consist of."""
    first = operands[0]
    if movement == "elementwise":
        same = all(o.tensor.shape == out.shape and o.axes == first.axes for o in operands)
        return first.axes if same else None
    channels = movement == "cat" and call.argument(1, "dim", 0) in (1, -3)
    if out.ndim != 4 or not (channels or (movement == "image" and len(operands) == 1)):
        return None
    n, image_axes_met = out.shape[0], set()
    for operand in operands:
        axes, shape, sample = operand.axes, operand.tensor.shape, operand.axes.get("sample")
        image_axes_met.add((axes.get("height"), axes.get("width")))
        if len(shape) != 4 or len(axes) > 3 or len(image_axes_met) > 1 or sample is None:
            return None
        if shape[0] != n or sample.size not in (1, n) or not covers(shape, sample, 0):
            return None
    if not lies_on_image(first.tensor.shape, first.axes, 2, 3):
        return None
    sample = first.axes["sample"] if n == 1 else Axis((Part(n, prod(out.shape[1:])),))
    return {"sample": sample, **image_axes(out.shape)}


def _top(axis: Axis) -> int:
    return prod(axis.parts[0]) if axis.parts else 0  # size · stride


def _follow(call: OpCall | None, operand: Operand, name: AxisName, out: Tensor) -> Axis | None:
    axis, tensor = operand.axes.get(name), operand.tensor
    same_numbering = _operation(call).axes == "same_numbering" and out.numel() == tensor.numel()
    if axis is None or same_numbering:
        return axis
    followed: list[Part] = []
    parts = split_by_dimension(axis, tensor.shape) or []
    must_be_whole = name in ("sample", "tokens")
    may_skip = not must_be_whole and len(parts) == 1
    for part in parts:
        moved = _follow_part(call, operand, part, out, may_skip)
        if moved is None:
            break  # coarser parts still locate a value; without the coarsest nothing does
        followed.append(moved)
    if not followed or (must_be_whole and len(followed) < len(parts)):
        return None
    return Axis(Axis.of(followed).parts, axis.grid)


def _follow_part(
    call: OpCall | None, operand: Operand, part: Part, out: Tensor, may_skip: bool
) -> Part | None:
    tensor, movement = operand.tensor, _operation(call).axes
    location = locate_part(part, tensor.shape)
    if location is None:
        return None
    dim, inner = location
    size, target = part.size, _target_dimension(call, operand, dim, out)
    if target is None and may_skip and size == tensor.shape[dim]:
        if movement == "pad":
            size, target = out.shape[dim], dim  # a frame around the image
        elif movement == "getitem":
            # Space-to-depth: every other row still covers the whole image.
            size = (size + 1) // 2
            target = _dimension_with_stride(out, size, 2 * tensor.stride(dim))
    return None if target is None else Part(size, inner * prod(out.shape[target + 1 :]))


def _target_dimension(call: OpCall | None, operand: Operand, dim: int, out: Tensor) -> int | None:
    """The dimension of the output that dimension ``dim`` of an operand has become."""
    tensor, movement = operand.tensor, _operation(call).axes
    size, dims_added = tensor.shape[dim], out.ndim - tensor.ndim
    if call and movement == "einsum":
        return _einsum_dimension(call.argument(0, "equation"), operand.index, dim)
    is_view = get_storage_id(tensor) == get_storage_id(out) is not None
    if is_view and movement != "complex_view":
        return _dimension_with_stride(out, size, tensor.stride(dim))
    moved = _moved_dimensions(call, tensor.ndim)
    if movement == "shuffled" or dim in moved:
        return None
    if movement == "linear" and operand.index == 1:
        return out.ndim - 1 if dim == 0 else None
    if movement in _PRODUCTS and _is_summed_over(movement, operand, dim):
        return None
    if movement == "cdist" and dim >= tensor.ndim - 1 - operand.index:
        return out.ndim - 1 if dim == tensor.ndim - 2 else None
    if call and movement == "stack":
        return dim + int(call.argument(1, "dim", 0) % out.ndim <= dim)
    if movement == "reduction":
        return dim if dims_added == 0 else dim - sum(d < dim for d in moved)
    # Dimensions were removed or added somewhere; the others keep their order.
    first, last = sorted((dim, dim + dims_added))
    candidates = [d for d in range(max(first, 0), min(last + 1, out.ndim)) if out.shape[d] == size]
    # The size alone is ambiguous where it occurs twice, unless dimensions are known to stay.
    certain = movement in _IN_ORDER or (call is not None and out.shape == tensor.shape)
    unique = len(candidates) == 1 and (certain or list(out.shape).count(size) == 1)
    return candidates[0] if unique else None


def _is_summed_over(movement: Movement, operand: Operand, dim: int) -> bool:
    """Returns whether a matrix product sums over dimension ``dim`` of an operand."""
    last = operand.tensor.ndim - 1
    factor = operand.index - (movement == "added_product")
    if movement == "attention":  # the features of queries, all of keys, the keys of values
        return (dim == last and factor != 2) or (dim == last - 1 and factor in (1, 2))
    return (factor == 0 and dim == last) or (factor == 1 and dim == max(last - 1, 0))


def _moved_dimensions(call: OpCall | None, ndim: int) -> Collection[int]:
    """The dimensions along which a call moves, selects, mixes or reduces the entries."""
    if call is None:
        return ()
    operation = find_operation(call.op)
    if operation.axes in ("getitem", "setitem"):
        index = call.argument(1, "index")
        entries = index if isinstance(index, tuple) else (index,)
        if operation.axes == "setitem":  # the value lacks the dimensions of integers
            entries = tuple(entry for entry in entries if not isinstance(entry, int))
        return _indexed_dimensions(entries, ndim)
    if operation.dim is None:
        return ()
    position, keyword, default = operation.dim
    dims = call.argument(position, keyword, default) if keyword else default
    if call.op == "flip" and isinstance(dims, int):
        dims = call.original_arguments[0][1:]  # x.flip(1, 2)
    if isinstance(dims, int):
        dims = (dims,)
    if not isinstance(dims, (tuple, list)) or not dims or not all(type(d) is int for d in dims):
        return range(ndim)
    return {d % ndim for d in dims}


def _indexed_dimensions(entries: tuple[object, ...], ndim: int) -> Collection[int]:
    """Dimensions that advanced indexing selects from; all, if it moves them (separate indices)."""
    lengths = [e.ndim if isinstance(e, Tensor) and e.dtype == torch.bool else 1 for e in entries]
    consumed = sum(
        n for e, n in zip(entries, lengths, strict=True) if e is not None and e is not Ellipsis
    )
    dim, selected, runs, previous = 0, set[int](), 0, False
    for entry, n in zip(entries, lengths, strict=True):
        is_index = not isinstance(entry, (slice, type(None), type(Ellipsis)))
        runs += is_index and not previous
        previous = is_index
        if is_index:
            selected.update(range(dim, dim + n))
        if entry is not None:
            dim += ndim - consumed if entry is Ellipsis else n
    return range(ndim) if runs > 1 else selected


def _dimension_with_stride(view: Tensor, size: int, stride: int) -> int | None:
    same = [d for d in range(view.ndim) if (view.shape[d], view.stride(d)) == (size, stride)]
    return same[0] if len(same) == 1 else None


def _einsum_dimension(equation: object, index: int, dim: int) -> int | None:
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        return None
    terms, output = equation.replace(" ", "").split("->")
    position = output.find(terms.split(",")[index][dim])
    return position if position >= 0 else None


def _operation(call: OpCall | None) -> Operation:
    return find_operation("" if call is None else call.op)


_NAMES: tuple[AxisName, ...] = get_args(AxisName)
# Movements under which a size that occurs once in the output is the dimension looked for, and not
# one that happens to be as large.
_SCORES = frozenset({"product", "linear", "added_product", "einsum"})
_PRODUCTS = _SCORES - {"einsum"} | {"attention"}
_IN_ORDER = _PRODUCTS | {"in_order", "elementwise", "image", "cat", "pad", "getitem"}
