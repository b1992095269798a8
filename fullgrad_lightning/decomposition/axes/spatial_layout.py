"""The layout of values on the image, by which they can be seen as (N, C, h, w)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import (
    Axes,
    Axis,
    Shape,
    arrange,
    covers,
    lies_on_image,
)

Spatial = Literal["NCHW", "NHWC", "tokens"]


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
