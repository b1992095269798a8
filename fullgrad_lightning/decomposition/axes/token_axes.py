"""The image patches among the tokens of a sequence, as other tokens are joined or sliced off."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import Axes, Axis, Grid, Operand, Part, Shape
from fullgrad_lightning.decomposition.operations.op_call import OpCall, get_storage_id


def tokens_after_cat(call: OpCall, operands: Sequence[Operand], out: Tensor) -> Axes:
    """The tokens axis after a ``cat`` of one image of tokens with other tokens; else no axes."""
    dim = call.argument(1, "dim", 0)
    if not isinstance(dim, int):
        return {}
    dim %= out.ndim
    lengths = [leaf.shape[dim] for leaf in call.leaves if isinstance(leaf, Tensor)]
    images = []
    for operand in operands:
        grid = _grid_along(operand, dim)
        if grid is not None and lengths[operand.index] < out.shape[dim]:
            images.append(grid._replace(first=grid.first + sum(lengths[: operand.index])))
    return {"tokens": Axis((_part(out.shape, dim),), images[0])} if len(images) == 1 else {}


def tokens_after_slice(tensor: Tensor, axis: Axis, out: Tensor) -> Axes:
    """Axes of a slice of a sequence: the tokens, the image alone, or none."""
    grid, dim = axis.grid, _dimension(axis, tensor.shape)
    if grid is None or dim is None or get_storage_id(tensor) != get_storage_id(out):
        return {}
    stride, longest = tensor.stride(dim), tensor.shape[dim]
    dims = [d for d in range(out.ndim) if out.stride(d) == stride and 1 < out.shape[d] < longest]
    if len(dims) != 1:
        return {}
    first = grid.first - _start(tensor, out, dim)
    size, length = grid.height * grid.width, out.shape[dims[0]]
    if first < 0 or first + size > length:
        return {}
    part = _part(out.shape, dims[0])
    if length > size:
        return {"tokens": Axis((part,), grid._replace(first=first))}
    width = Part(grid.width, part.stride)
    return {"height": Axis((Part(grid.height, prod(width)),)), "width": Axis((width,))}


def _grid_along(operand: Operand, dim: int) -> Grid | None:
    """The image that dimension ``dim`` of an operand consists of or holds."""
    shape, axes = operand.tensor.shape, operand.axes
    if "tokens" in axes:
        return axes["tokens"].grid if _dimension(axes["tokens"], shape) == dim else None
    if "height" not in axes or "width" not in axes:
        return None
    (height, *finer), (width, *finer_too) = axes["height"].parts, axes["width"].parts
    is_image = _part(shape, dim) == Part(height.size * width.size, width.stride)
    if finer or finer_too or not is_image or height.stride != prod(width):
        return None
    return Grid(0, height.size, width.size)


def _part(shape: Shape, dim: int) -> Part:
    return Part(shape[dim], prod(shape[dim + 1 :]))


def _dimension(axis: Axis, shape: Shape) -> int | None:
    dims = [dim for dim in range(len(shape)) if axis.parts == (_part(shape, dim),)]
    return dims[0] if len(dims) == 1 else None


def _start(tensor: Tensor, view: Tensor, dim: int) -> int:
    """The index along ``dim`` at which a view starts."""
    rest, start = int(view.storage_offset()) - int(tensor.storage_offset()), 0
    strides = tensor.stride()
    for d in sorted(range(tensor.ndim), key=lambda d: -strides[d]):
        if tensor.shape[d] > 1 and strides[d] > 0:
            index, rest = divmod(rest, strides[d])
            start = index if d == dim else start
    return start
