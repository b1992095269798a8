"""Follows the batch, height and width axes of the input through the operations of a network.

A bias-gradient is shaped like the output of its operation, and outputs take many shapes:
(N, C, H, W), (N, H, W, C), tokens (N, L, C), attention in (L, N, C) or (N·heads, L, d), windows
(N·windows, L, C). To sum a bias per sample, and to lay it on the image, one must know which
elements belong to which sample and pixel; guessing from sizes errs as soon as two sizes coincide.

An axis is followed through the *row-major numbering* of the elements: element e has index
``(e // stride) % size`` on it. Views that only reshape leave that numbering, and so the axis, as
it is; permutations are read off the strides of the view; all other operations keep dimensions
aligned from the left or from the right. What cannot be followed is dropped, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor

SAMPLE, HEIGHT, WIDTH = "sample", "height", "width"


@dataclass(frozen=True)
class Axis:
    """Element ``e`` of the row-major numbering has index ``(e // stride) % size`` on this axis."""

    size: int
    stride: int


Axes = Mapping[str, Axis]
Shape = Sequence[int]


@dataclass(frozen=True)
class Operand:
    """An activation among the operands, its axes, and its rank among the tensor operands."""

    tensor: Tensor
    axes: Axes
    index: int


def axes_of_input(x: Tensor) -> Axes:
    """Axes of a network's input: the batch comes first, four dimensions mean (N, C, H, W)."""
    axes = {SAMPLE: Axis(x.shape[0], prod(x.shape[1:]))}
    return axes | _image_axes(x.shape) if x.ndim == 4 else axes


def axes_of_output(
    op: str, args: Sequence[object], operands: Sequence[Operand], out: Tensor
) -> Axes:
    """Axes of ``out``, one output of ``op(*args)``, given the axes of its activations."""
    axes: dict[str, Axis] = {}
    names: tuple[str, ...] = (SAMPLE, HEIGHT, WIDTH)
    if {operand.axes[SAMPLE].size for operand in operands if SAMPLE in operand.axes} == {1}:
        axes, names = {SAMPLE: Axis(1, out.numel())}, (HEIGHT, WIDTH)
    for name in names:
        if name != SAMPLE and op in _REORDERING:
            continue
        followed = (_follow(op, args, operand, name, out) for operand in operands)
        found = {axis for axis in followed if axis is not None}
        if len(found) == 1:
            axes[name] = found.pop()
    if op in _ON_IMAGES and out.ndim == 4:
        lost = not any(HEIGHT in operand.axes or WIDTH in operand.axes for operand in operands)
        if lost or any(_lies_on_image(operand) for operand in operands):
            axes.update(_image_axes(out.shape))
    return axes


def spatial_layout(shape: Shape, axes: Axes) -> Literal["NCHW", "NHWC"] | None:
    """How a tensor lies on the image; ``None`` if it does not (1×1 maps have no place on it)."""
    sample = axes.get(SAMPLE)
    if len(shape) != 4 or sample is None or shape[0] != sample.size:
        return None
    if sample.stride * sample.size != prod(shape):
        return None
    layouts: dict[Literal["NCHW", "NHWC"], tuple[int, int]] = {"NCHW": (2, 3), "NHWC": (1, 2)}
    for layout, (height, width) in layouts.items():
        if shape[height] * shape[width] > 1 and all(
            _fills(shape, axes.get(name), dim) for name, dim in ((HEIGHT, height), (WIDTH, width))
        ):
            return layout
    return None


def locate(axis: Axis, shape: Shape) -> tuple[int, int] | None:
    """The dimension that holds ``axis`` and how many elements of it share one index.

    Returns:
        ``(dim, inner)``, or ``None`` if the axis is spread over several dimensions.
    """
    below = prod(shape)
    for dim, size in enumerate(shape):
        below //= max(size, 1)
        if below <= axis.stride < below * size:
            inner = axis.stride // below
            whole = axis.stride % below == 0 and size % (inner * axis.size) == 0
            return (dim, inner) if whole else None
    return None


def _follow(
    op: str, args: Sequence[object], operand: Operand, name: str, out: Tensor
) -> Axis | None:
    axis, tensor = operand.axes.get(name), operand.tensor
    if axis is None or (op in _SAME_NUMBERING and out.numel() == tensor.numel()):
        return axis
    place = locate(axis, tensor.shape)
    if place is None:
        return None
    dim, inner = place
    size, target = axis.size, _target_dimension(op, args, operand, dim, out)
    if target is None and name != SAMPLE and op == "getitem" and size == tensor.shape[dim]:
        step = 2  # space-to-depth: every other row and column still covers the whole image
        size = (size + step - 1) // step
        target = _by_stride(out, size, step * tensor.stride(dim))
    return None if target is None else Axis(size, inner * prod(out.shape[target + 1 :]))


def _target_dimension(
    op: str, args: Sequence[object], operand: Operand, dim: int, out: Tensor
) -> int | None:
    tensor = operand.tensor
    size, aligned_right = tensor.shape[dim], dim - tensor.ndim + out.ndim
    if op == "einsum":
        return _einsum_dimension(args[0], operand.index, dim)
    if op not in _UNITS_CHANGE and _shares_memory(out, tensor):
        return _by_stride(out, size, tensor.stride(dim))
    if op in _MATRIX_PRODUCTS:
        contracted = tensor.ndim - (1 if operand.index == 0 else 2)
        return None if dim == contracted else _if_size(out, aligned_right, size)
    candidates = {_if_size(out, dim, size), _if_size(out, aligned_right, size)} - {None}
    return candidates.pop() if len(candidates) == 1 else None


def _by_stride(view: Tensor, size: int, stride: int) -> int | None:
    same = [d for d in range(view.ndim) if (view.shape[d], view.stride(d)) == (size, stride)]
    return same[0] if len(same) == 1 else None


def _if_size(out: Tensor, dim: int, size: int) -> int | None:
    return dim if 0 <= dim < out.ndim and out.shape[dim] == size else None


def _einsum_dimension(equation: object, index: int, dim: int) -> int | None:
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        return None
    terms, output = equation.replace(" ", "").split("->")
    place = output.find(terms.split(",")[index][dim])
    return place if place >= 0 else None


def _shares_memory(out: Tensor, tensor: Tensor) -> bool:
    return out.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()


def _image_axes(shape: Shape) -> dict[str, Axis]:
    axes = {HEIGHT: Axis(shape[2], shape[3]), WIDTH: Axis(shape[3], 1)}
    return {name: axis for name, axis in axes.items() if axis.size > 1}


def _lies_on_image(operand: Operand) -> bool:
    shape, axes = operand.tensor.shape, operand.axes
    return (
        len(shape) == 4 and _fills(shape, axes.get(HEIGHT), 2) and _fills(shape, axes.get(WIDTH), 3)
    )


def _fills(shape: Shape, axis: Axis | None, dim: int) -> bool:
    if axis is None:  # axes of size one are not kept
        return shape[dim] == 1
    return axis.size == shape[dim] and axis.stride == prod(shape[dim + 1 :])


# Same elements in the same row-major order.
_SAME_NUMBERING = frozenset(
    "view reshape flatten unflatten squeeze unsqueeze view_as reshape_as ravel contiguous clone"
    " _unsafe_view unsafe_view to type type_as float double half bfloat16".split()
)
# The strides of complex and real views count in different units.
_UNITS_CHANGE = frozenset("view_as_real view_as_complex real imag".split())
_MATRIX_PRODUCTS = frozenset("matmul bmm mm linear baddbmm".split())
# Sizes stay, places do not: nothing behind these lies on the image as it did.
_REORDERING = frozenset(
    "roll flip fliplr flipud rot90 sort argsort topk gather index_select take_along_dim scatter"
    " index_put fft_fft fft_ifft fft_fft2 fft_ifft2 fft_fftn fft_ifftn fft_rfft fft_irfft"
    " fft_rfft2 fft_irfft2 fft_rfftn fft_irfftn stft istft grid_sampler".split()
)
# (N, C, H, W) in and out by definition.
_ON_IMAGES = frozenset(
    "conv2d conv_transpose2d convolution max_pool2d max_pool2d_with_indices avg_pool2d"
    " adaptive_avg_pool2d adaptive_max_pool2d lp_pool2d fractional_max_pool2d upsample_nearest2d"
    " _upsample_nearest_exact2d upsample_bilinear2d _upsample_bilinear2d_aa upsample_bicubic2d"
    " _upsample_bicubic2d_aa pixel_shuffle pixel_unshuffle batch_norm instance_norm deform_conv2d"
    " local_response_norm".split()
)


def sum_per_sample(values: Tensor, axis: Axis) -> Tensor:
    """Sums over everything but the samples, in float64: values of any shape to (N,)."""
    if values.ndim == 0:
        return values.double().reshape(1)
    place = locate(axis, values.shape) if axis.size > 1 else None
    if place is not None and values.shape[place[0]] == axis.size:
        values = values.movedim(place[0], 0).reshape(axis.size, -1)
    else:
        values = values.reshape(-1, axis.size, axis.stride).transpose(0, 1).flatten(1)
    # In blocks, since a reduction to another dtype converts all its input first.
    return sum(
        (block.sum(1, dtype=torch.float64) for block in values.split(_BLOCK, dim=1)),
        start=torch.zeros(axis.size, dtype=torch.float64, device=values.device),
    )


_BLOCK = 1 << 18
