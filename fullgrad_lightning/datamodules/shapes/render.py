"""Renders scenes: images, and masks of the object.

Shapes: N scenes, K things, H × W pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fullgrad_lightning.datamodules.shapes.scenes import Scenes, Things
from fullgrad_lightning.datamodules.shapes.silhouettes import inside
from fullgrad_lightning.datamodules.shapes.textures import texture

UNITS = 32  # a side of the image, in the unit of scenes
_CHUNK = 128  # scenes rendered together: small enough for the caches


def paint(scenes: Scenes, size: int) -> tuple[Tensor, Tensor]:
    """Renders images and masks of scenes.

    Args:
        scenes: N scenes.
        size: H = W, in pixels.

    Returns:
        (N, 3, H, W) uint8, and (N, H, W) bool: the pixels of the object.
    """
    parts = [_paint(_rows(scenes, start), size) for start in range(0, len(scenes.sky), _CHUNK)]
    images, masks = (torch.cat(part) for part in zip(*parts, strict=True))
    return images, masks


def _paint(scenes: Scenes, size: int) -> tuple[Tensor, Tensor]:
    middles = (torch.arange(size) + 0.5) * (UNITS / size)
    y, x = middles[:, None].expand(size, size), middles.expand(size, size)
    fade = middles[:, None, None] / UNITS
    canvas = scenes.sky[:, None, None] * (1 - fade) + scenes.ground[:, None, None] * fade
    canvas = canvas.repeat(1, 1, size, 1)
    for things in (scenes.patches, scenes.distractors):
        for k, covered in enumerate(_covered(things, x, y).unbind(1)):
            scene, row, column = covered.nonzero(as_tuple=True)
            canvas[scene, row, column] = things.colour[scene, k]
    mask = _covered(scenes.thing, x, y)[:, 0]
    u = x - _over_pixels(scenes.thing.x[:, 0] + scenes.phase[:, 0])
    v = y - _over_pixels(scenes.thing.y[:, 0] + scenes.phase[:, 1])
    first = texture(scenes.texture, u, v, scenes.weave)
    for tone, colour in ((first, scenes.thing.colour[:, 0]), (~first, scenes.second_colour)):
        scene, row, column = (mask & tone).nonzero(as_tuple=True)
        canvas[scene, row, column] = colour[scene]
    images = (canvas * 255).round().to(torch.uint8).permute(0, 3, 1, 2).contiguous()
    return images, mask


def _rows(scenes: Any, start: int) -> Any:
    """Returns one chunk of scenes, from start on."""
    if isinstance(scenes, Tensor):
        return scenes[start : start + _CHUNK]
    return type(scenes)(*(_rows(part, start) for part in scenes))


def _covered(things: Things, x: Tensor, y: Tensor) -> Tensor:
    """Returns the masks of all things, (N, K, H, W) bool."""
    thing = Things(*(_over_pixels(part.flatten(0, 1)) for part in things))
    right, up = x - thing.x, thing.y - y
    u = (thing.angle.cos() * right + thing.angle.sin() * up) / (thing.radius * thing.stretch)
    v = (thing.angle.cos() * up - thing.angle.sin() * right) / thing.radius * thing.stretch
    covered = inside(things.kind.flatten(), u, v)
    return covered.reshape(*things.kind.shape, *covered.shape[1:])


def _over_pixels(values: Tensor) -> Tensor:
    return values[:, None, None]
