"""The axes of a tensor that hold the batch, the height and the width of the network's input.

A bias-gradient is shaped like the output of its operation, and outputs take many shapes:
(N, C, H, W), (N, H, W, C), tokens (N, L, C), attention in (L, N, C) or (N·heads, L, d), windows
(N·windows, L, C). Summing a bias per sample, or showing it on the image, depends on which
elements belong to which sample and pixel; guessing from sizes fails as soon as two sizes coincide.

So axes are followed, as positions in the *row-major numbering* of the elements: element e has index
``(e // stride) % size`` on a part of an axis. An axis that a reshape has cut (rows into windows and
rows within windows) has several parts. How operations move them is in ``propagation``. The axes of
an output determine its layout on the image, by which it can be seen as (N, C, h, w).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

import torch
from torch import Tensor

# Tokens have others (class, registers) among them; keys are what queries are scored against.
AxisName = Literal["sample", "height", "width", "tokens", "keys"]


class Part(NamedTuple):
    """Element ``e`` of the row-major numbering has index ``(e // stride) % size`` on this part."""

    size: int
    stride: int


class Grid(NamedTuple):
    """Among the entries of an axis, those from ``first`` on are a row-major image of tokens."""

    first: int
    height: int
    width: int


@dataclass(frozen=True)
class Axis:
    """The parts of an axis, most significant first, usually one; of tokens, their image."""

    parts: tuple[Part, ...]
    grid: Grid | None = None

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Axis:
        """The axis with these parts, neighbours joined where one continues the other."""
        joined: list[Part] = []
        for part in parts:
            if joined and joined[-1].stride == part.size * part.stride:
                part = Part(joined.pop().size * part.size, part.stride)
            joined.append(part)
        return cls(tuple(joined))

    @property
    def size(self) -> int:
        return prod(part.size for part in self.parts)


Axes = Mapping[AxisName, Axis]
Spatial = Literal["NCHW", "NHWC", "tokens"]
Shape = Sequence[int]


@dataclass(frozen=True)
class Operand:
    """An activation among the operands, its axes, and its rank among the tensor operands."""

    tensor: Tensor
    axes: Axes
    index: int


def input_axes(x: Tensor) -> Axes:
    """Axes of a network's input: the batch comes first, four dimensions mean (N, C, H, W)."""
    sample = Axis((Part(x.shape[0], prod(x.shape[1:])),))
    return {"sample": sample, **(image_axes(x.shape) if x.ndim == 4 else {})}


def image_axes(shape: Shape) -> Axes:
    """Height and width axes of (N, C, H, W), except those of size one, which have no positions."""
    height, width = Axis((Part(shape[2], shape[3]),)), Axis((Part(shape[3], 1),))
    axes: Axes = {"height": height, "width": width}
    return {name: axis for name, axis in axes.items() if axis.size > 1}


def lies_on_image(shape: Shape, axes: Axes, height: int, width: int) -> bool:
    """Returns whether dimensions ``height`` and ``width`` of a tensor are those of the image."""
    return covers(shape, axes.get("height"), height) and covers(shape, axes.get("width"), width)


def covers(shape: Shape, axis: Axis | None, dim: int) -> bool:
    """Returns whether the axis runs once along dimension ``dim``.

    Finer steps may lie in other dimensions (patches) or be repeated (an enlarged image).
    """
    if axis is None or axis.size == 1:
        return shape[dim] == 1
    part, below = axis.parts[0], prod(shape[dim + 1 :])
    return part.stride >= below and part.size * part.stride == below * shape[dim]


def split_by_dimension(axis: Axis, shape: Shape) -> list[Part] | None:
    """The parts of ``axis``, each within one dimension; ``None`` if one cannot be split so."""
    pieces: list[Part] = []
    for size, stride in axis.parts:
        top, below = size * stride, prod(shape)
        for length in shape:
            below //= max(length, 1)
            if stride < below < top:
                if top % below or below % stride:
                    return None
                pieces.append(Part(top // below, below))
                top = below
        pieces.append(Part(top // stride, stride))
    return [piece for piece in pieces if piece.size > 1]


def locate_part(part: Part, shape: Shape) -> tuple[int, int] | None:
    """The dimension that holds a part, and how many of its elements share one index."""
    below = prod(shape)
    for dim, size in enumerate(shape):
        below //= max(size, 1)
        if below <= part.stride < below * size:
            inner = part.stride // below
            whole = part.stride % below == 0 and size % (inner * part.size) == 0
            return (dim, inner) if whole else None
    return None


def sum_per_sample(values: Tensor, axis: Axis) -> Tensor:
    """Sums over everything but the samples, in float64: values of any shape to (N,)."""
    zero = torch.zeros(axis.size, dtype=torch.float64, device=values.device)
    if values.numel() == 0:
        return zero
    if axis.size == 1 or (len(axis.parts) == 1 and covers(values.shape, axis, 0)):
        rows = values.reshape(axis.size, -1)
    else:
        rows = arrange(values, (axis,))
    # In blocks, since a reduction to another dtype converts all its input first.
    blocks = rows.split(1 << 18, dim=1)
    return sum((block.sum(1, dtype=torch.float64) for block in blocks), start=zero)


def arrange(values: Tensor, axes: Sequence[Axis]) -> Tensor:
    """One dimension for each axis, and a last one for the rest."""
    shape, dims, top = [], {}, values.numel()
    parts = [part for axis in axes for part in axis.parts]
    for part in sorted(parts, key=lambda part: -part.stride):
        shape += [top // (part.size * part.stride), part.size]
        dims[part] = len(shape) - 1
        top = part.stride
    first = [dims[part] for part in parts]
    values = values.reshape(*shape, top).movedim(first, list(range(len(first))))
    return values.reshape(*(axis.size for axis in axes), -1)


@dataclass(frozen=True)
class Layout:
    """The arrangement of values on the image.

    Attributes:
        name: ``"NCHW"``; ``"NHWC"``; or ``"tokens"``, whatever else can be folded to the image, as
            sequences (N, L, C), (L, N, C) or (N, heads, L, d). Class and register tokens are left
            out.
    """

    name: Spatial
    _axes: tuple[Axis, ...] = ()

    def fold(self, values: Tensor) -> Tensor:
        """Values of the site, seen as (N, C, h, w)."""
        if self.name == "NCHW":
            return values
        if self.name == "NHWC":
            return values.permute(0, 3, 1, 2)
        values = arrange(values, self._axes)
        if len(self._axes) == 2 and (grid := self._axes[1].grid) is not None:
            first, height, width = grid
            values = values[:, first : first + height * width].unflatten(1, (height, width))
        return values.permute(0, 3, 1, 2)


def infer_layout(shape: Shape, axes: Axes) -> Layout | None:
    """The layout of a tensor on the image.

    ``None`` for vectors, 1×1 maps (they have no position on the image), attention scores (they have
    two), and windows (the image has been cut).
    """
    sample = axes.get("sample")
    if sample is None or "keys" in axes:
        return None
    if len(shape) == 4 and covers(shape, sample, 0):
        layouts: dict[Spatial, tuple[int, int]] = {"NCHW": (2, 3), "NHWC": (1, 2)}
        for name, (height, width) in layouts.items():
            if shape[height] * shape[width] > 1 and lies_on_image(shape, axes, height, width):
                return Layout(name)
    if "tokens" in axes and len(axes["tokens"].parts) == 1:
        return Layout("tokens", (sample, axes["tokens"]))
    rows, columns = (axes.get(name, Axis(())).parts for name in ("height", "width"))
    if len(rows) == len(columns) == 1 and rows[0].stride == prod(columns[0]):  # rows follow rows
        return Layout("tokens", (sample, axes["height"], axes["width"]))
    return None
