"""Scenes: the random parameters of each sample, before anything is rendered.

Shapes: N scenes. Lengths are in units of 1/32 of the image's side, the origin top left; colours are
RGB in 0…1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fullgrad_lightning.datamodules.shapes.silhouettes import SILHOUETTES, SOLID
from fullgrad_lightning.datamodules.shapes.textures import TEXTURES, Weave
from fullgrad_lightning.utilities.seeds import sample_generator

PATCHES, DISTRACTORS = 6, 3


class Things(NamedTuple):
    """Objects, distractors or patches of clutter, K to a scene.

    Args:
        kind: (N, K) int64, silhouettes.
        x: (N, K), of the centre.
        y: (N, K)
        radius: (N, K), of the disc of the same area.
        angle: (N, K), in radians.
        stretch: (N, K), the factor of the width, which divides the height.
        colour: (N, K, 3)
    """

    kind: Tensor
    x: Tensor
    y: Tensor
    radius: Tensor
    angle: Tensor
    stretch: Tensor
    colour: Tensor


class Scenes(NamedTuple):
    """N scenes: an object with a texture, over plain distractors, patches and a gradient of colour.

    Args:
        texture: (N,) int64, indices into ``TEXTURES``.
        weave: The texture's parameters.
        phase: (N, 2), where the texture starts, from the object's centre.
        second_colour: (N, 3), of the texture; the first is the object's.
        thing: K = 1, the object; its kind is an index into ``SILHOUETTES``.
        distractors: K = 3
        patches: K = 6
        sky: (N, 3), the colour at the top of the background.
        ground: (N, 3), the colour at its bottom.
    """

    texture: Tensor
    weave: Weave
    phase: Tensor
    second_colour: Tensor
    thing: Things
    distractors: Things
    patches: Things
    sky: Tensor
    ground: Tensor


def draw_scenes(seed: int, split: str, indices: Sequence[int], formless: bool = False) -> Scenes:
    """Draws scenes; each depends on its own index alone, and the global generator is not touched.

    Texture and silhouette are balanced exactly: every run of 64 indices from a multiple of 64 has
    each pair of them once, in random order. All else is independent of both.

    Args:
        seed: The seed of the data set.
        split: ``"train"``, ``"val"`` or ``"test"``; any text.
        indices: N indices of samples.
        formless: Whether distractors are blobs rather than silhouettes.
    """
    texture, silhouette = _balanced(seed, split, indices)
    draws = _Draws(seed, split, indices)
    contrast = draws.uniform(0.0, 1.0)
    dark, light = draws.uniform(0.05, 0.35), draws.uniform(0.65, 0.95)
    swapped = contrast < 0.5
    thing = draws.things(1, (6.5, 9.5), (9.0, 23.0), 0.35, 1.0)
    first = draws.colour(torch.where(swapped, light, dark))
    second = draws.colour(torch.where(swapped, dark, light))
    distractors = draws.things(DISTRACTORS, (2.5, 4.5), (0.0, 32.0), math.pi, 1.0)
    kinds = torch.full_like(distractors.kind, len(SILHOUETTES)) if formless else distractors.kind
    patches = draws.things(PATCHES, (3.0, 9.0), (0.0, 32.0), math.pi, 2.5)
    return Scenes(
        texture=texture,
        weave=Weave(
            period=draws.uniform(3.6, 4.6)[:, None, None],
            slant=torch.where(draws.uniform(0.0, 1.0) < 0.5, -1.0, 1.0)[:, None, None],
            cells=draws.take(256).reshape(-1, 16, 16) < 0.5,
        ),
        phase=draws.take(2) * 4 - 2,
        second_colour=second,
        thing=thing._replace(kind=silhouette[:, None], colour=first[:, None]),
        distractors=distractors._replace(kind=kinds),
        patches=patches._replace(kind=torch.where(patches.kind % 2 == 0, 0, 1)),
        sky=draws.take(3),
        ground=draws.take(3),
    )


class _Draws:
    """Uniform random numbers, a row for each index, taken column by column."""

    WIDTH = 512

    def __init__(self, seed: int, split: str, indices: Sequence[int]) -> None:
        self._rows = torch.empty(len(indices), self.WIDTH)
        for row, index in zip(self._rows, indices, strict=True):
            torch.rand(self.WIDTH, generator=sample_generator(seed, split, index), out=row)
        self._used = 0

    def take(self, columns: int) -> Tensor:
        """(N, columns) in [0, 1)."""
        self._used += columns
        assert self._used <= self.WIDTH
        return self._rows[:, self._used - columns : self._used]

    def uniform(self, low: float, high: float) -> Tensor:
        """(N,) in [low, high)."""
        return low + (high - low) * self.take(1)[:, 0]

    def colour(self, brightness: Tensor) -> Tensor:
        """(N, 3), colours of about a brightness (N,)."""
        tint = self.take(3)
        return (brightness[:, None] + 0.7 * (tint - tint.mean(1, keepdim=True))).clamp(0, 1)

    def things(
        self,
        count: int,
        radius: tuple[float, float],
        centre: tuple[float, float],
        turn: float,
        stretch: float,
    ) -> Things:
        """Things of any solid silhouette and colour, turned by ± turn, stretched up to a factor."""

        def between(low: float, high: float) -> Tensor:
            return low + (high - low) * self.take(count)

        return Things(
            kind=(self.take(count) * SOLID).long(),
            x=between(*centre),
            y=between(*centre),
            radius=between(*radius),
            angle=between(-turn, turn),
            stretch=between(1.0, stretch),
            colour=self.take(3 * count).reshape(-1, count, 3),
        )


def _balanced(seed: int, split: str, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
    pairs = len(TEXTURES) * len(SILHOUETTES)
    orders = {
        block: torch.randperm(pairs, generator=sample_generator(seed, split, -1 - block))
        for block in {index // pairs for index in indices}
    }
    pair = torch.tensor([int(orders[index // pairs][index % pairs]) for index in indices])
    return pair % len(TEXTURES), pair // len(TEXTURES)
