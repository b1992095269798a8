"""Follows the batch, height and width axes of the input through the operations of a network.

A bias-gradient is shaped like the output of its operation, and outputs take many shapes:
(N, C, H, W), (N, H, W, C), tokens (N, L, C), attention in (L, N, C) or (N·heads, L, d), windows
(N·windows, L, C). To sum a bias per sample, and to lay it on the image, one must know which
elements belong to which sample and pixel; guessing from sizes errs as soon as two sizes coincide.

So axes are followed, as places in the *row-major numbering* of the elements: element e has index
``(e // stride) % size`` on an axis. How operations move them is in ``propagation``.
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


def axes_of_input(x: Tensor) -> Axes:
    """Axes of a network's input: the batch comes first, four dimensions mean (N, C, H, W)."""
    axes = {SAMPLE: Axis(x.shape[0], prod(x.shape[1:]))}
    return axes | image_axes(x.shape) if x.ndim == 4 else axes


def image_axes(shape: Shape) -> dict[str, Axis]:
    """Height and width of (N, C, H, W); an axis of size one has no place, and is not kept."""
    axes = {HEIGHT: Axis(shape[2], shape[3]), WIDTH: Axis(shape[3], 1)}
    return {name: axis for name, axis in axes.items() if axis.size > 1}


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
            fills(shape, axes.get(name), dim) for name, dim in ((HEIGHT, height), (WIDTH, width))
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


def fills(shape: Shape, axis: Axis | None, dim: int) -> bool:
    """Whether ``axis`` is dimension ``dim``, all of it and nothing else."""
    if axis is None:  # axes of size one are not kept
        return shape[dim] == 1
    return axis.size == shape[dim] and axis.stride == prod(shape[dim + 1 :])


def sum_per_sample(values: Tensor, axis: Axis) -> Tensor:
    """Sums over everything but the samples, in float64: values of any shape to (N,)."""
    if values.ndim == 0 or values.numel() == 0:
        return values.double().sum().expand(axis.size)
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
