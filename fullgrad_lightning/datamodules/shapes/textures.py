"""Textures: two-tone patterns that fill an object. Mirror images stay in their class.

Shapes: N scenes, H × W pixels. Lengths are in units of 1/32 of the image's side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Weave(NamedTuple):
    """Parameters of a texture, apart from its kind.

    Args:
        period: (N, 1, 1), the length after which it repeats.
        slant: (N, 1, 1), 1 or −1: the direction of diagonals.
        cells: (N, 16, 16) bool, the tones of noise.
    """

    period: Tensor
    slant: Tensor
    cells: Tensor


def texture(kind: Tensor, u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    """Returns the mask of the first of the two tones, (N, H, W) bool.

    Args:
        kind: (N,) indices into ``TEXTURES``.
        u: (N, H, W), to the right of the texture's origin.
        v: (N, H, W), below it.
        weave: All other parameters.
    """
    tone = torch.zeros(u.shape, dtype=torch.bool)
    for i, pattern in enumerate(TEXTURES.values()):
        at = (kind == i).nonzero().flatten()
        tone[at] = pattern(u[at], v[at], Weave(*(part[at] for part in weave)))
    return tone


def _horizontal(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    return _stripes(v, weave.period)


def _vertical(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    return _stripes(u, weave.period)


def _diagonal(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    return _stripes((u + weave.slant * v) / 2**0.5, weave.period)


def _zigzag(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    wave = 2 * weave.period
    return _stripes(v + (u.remainder(wave) - weave.period).abs(), weave.period)


def _rings(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    return _stripes(torch.hypot(u, v), weave.period)


def _checks(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    return _stripes(u, 1.5 * weave.period) ^ _stripes(v, 1.5 * weave.period)


def _dots(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    distance = [(w / (1.3 * weave.period)).remainder(1) - 0.5 for w in (u, v)]
    return torch.hypot(*distance) < 0.3


def _noise(u: Tensor, v: Tensor, weave: Weave) -> Tensor:
    rows, columns = ((w / 1.5).floor().long().remainder(16) for w in (v, u))
    return weave.cells[torch.arange(len(u))[:, None, None], rows, columns]


def _stripes(distance: Tensor, period: Tensor) -> Tensor:
    return (distance / period).remainder(1) < 0.5


TEXTURES: dict[str, Callable[[Tensor, Tensor, Weave], Tensor]] = {
    "horizontal": _horizontal,
    "vertical": _vertical,
    "diagonal": _diagonal,
    "zigzag": _zigzag,
    "rings": _rings,
    "checks": _checks,
    "dots": _dots,
    "noise": _noise,
}
