"""Silhouettes: the outlines of objects, all of the same area.

Shapes: N objects, H × W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def inside(kind: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Returns the mask of the pixels that an object covers, (N, H, W) bool.

    Args:
        kind: (N,) indices into ``SILHOUETTES``, or its length for a formless blob.
        u: (N, H, W), to the right of the object's centre, in radii of the disc of its area.
        v: (N, H, W), above the centre, in the same unit.
    """
    covered = torch.zeros(u.shape, dtype=torch.bool)
    for i, (outline, scale) in enumerate((*SILHOUETTES.values(), _BLOB)):
        at = (kind == i).nonzero().flatten()
        covered[at] = outline(u[at] / scale, v[at] / scale)
    return covered


def _disc(u: Tensor, v: Tensor) -> Tensor:
    return torch.hypot(u, v) < 1


def _square(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) < 1


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    return (v > -0.5) & (3**0.5 * u.abs() + v < 1)


def _cross(u: Tensor, v: Tensor) -> Tensor:
    return (torch.maximum(u.abs(), v.abs()) < 1) & (torch.minimum(u.abs(), v.abs()) < 0.36)


def _ring(u: Tensor, v: Tensor) -> Tensor:
    radius = torch.hypot(u, v)
    return (radius < 1) & (radius > 0.5)


def _star(u: Tensor, v: Tensor) -> Tensor:
    # Five points at radius 1, folded onto half of one: an edge from (1, 0) to the notch at 36°.
    fold = math.pi / 5
    angle = ((torch.atan2(u, v) + fold).remainder(2 * fold) - fold).abs()
    notch_x, notch_y = 0.5 * math.cos(fold), 0.5 * math.sin(fold)
    x, y = torch.hypot(u, v) * angle.cos(), torch.hypot(u, v) * angle.sin()
    return (notch_x - 1) * y - notch_y * (x - 1) > 0


def _heart(u: Tensor, v: Tensor) -> Tensor:
    v = v + 0.29  # its centre of mass
    return (u**2 + v**2 - 1) ** 3 - u**2 * v**3 < 0


def _moon(u: Tensor, v: Tensor) -> Tensor:
    u = u - 0.39  # its centre of mass
    return (torch.hypot(u, v) < 1) & (torch.hypot(u - 0.5, v) > 0.8)


def _blob(u: Tensor, v: Tensor) -> Tensor:
    angle = torch.atan2(v, u)
    return torch.hypot(u, v) < 1 + 0.25 * (2 * angle).sin() + 0.2 * (3 * angle + 1).sin()


# Name -> (outline, the factor that gives it the area of the unit disc).
SILHOUETTES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
    "disc": (_disc, 1.0),
    "square": (_square, 0.887),
    "triangle": (_triangle, 1.556),
    "cross": (_cross, 1.155),
    "star": (_star, 1.463),
    "heart": (_heart, 0.927),
    "moon": (_moon, 1.434),
    "ring": (_ring, 1.155),
}
SOLID = len(SILHOUETTES) - 1  # all but the last, which resembles a texture
_BLOB = (_blob, 0.976)
