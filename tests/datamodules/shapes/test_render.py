"""Pictures: textures stay inside the mask, objects cover what is behind them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.datamodules.shapes.render import paint
from fullgrad_lightning.datamodules.shapes.scenes import Scenes, draw_scenes
from fullgrad_lightning.datamodules.shapes.silhouettes import SILHOUETTES, inside
from fullgrad_lightning.datamodules.shapes.textures import TEXTURES, texture


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return draw_scenes(0, "train", range(192))


@pytest.mark.parametrize("size", [32, 28, 64])
def test_shapes_and_types(scenes: Scenes, size: int) -> None:
    images, masks = paint(scenes, size)
    assert images.shape == (192, 3, size, size) and images.dtype == torch.uint8
    assert masks.shape == (192, size, size) and masks.dtype == torch.bool
    share = masks.double().flatten(1).mean(1)
    assert share.min() > 0.08 and share.max() < 0.35


@pytest.mark.parametrize("size", [32, 48])
def test_only_pixels_of_the_mask_change_with_the_texture(scenes: Scenes, size: int) -> None:
    images, masks = paint(scenes, size)
    for other in range(1, 8):
        changed, same_masks = paint(scenes._replace(texture=(scenes.texture + other) % 8), size)
        assert masks.equal(same_masks)
        differs = (images != changed).any(1)
        assert not (differs & ~masks).any()
        share = (differs & masks).flatten(1).sum(1) / masks.flatten(1).sum(1)
        assert share.min() > 0.1, "and they do change"


def test_the_mask_is_where_the_object_hides_what_is_behind(scenes: Scenes) -> None:
    images, masks = paint(scenes, 32)
    nowhere = scenes.thing._replace(x=torch.full_like(scenes.thing.x, -1000.0))
    empty, no_masks = paint(scenes._replace(thing=nowhere), 32)
    assert not no_masks.any()
    hidden = (images != empty).any(1)
    assert not (hidden & ~masks).any()
    assert (hidden & masks).sum() > 0.99 * masks.sum()


def test_nothing_outside_the_object_is_two_toned_in_its_colours(scenes: Scenes) -> None:
    images, masks = paint(scenes, 32)
    for colour in (scenes.thing.colour[:, 0], scenes.second_colour):
        exact = (colour * 255).round().to(torch.uint8)[:, :, None, None]
        of_it = (images == exact).all(1)
        assert (of_it & masks).flatten(1).any(1).all()
        assert (of_it & ~masks).sum() < 1e-3 * masks.sum()


def test_a_larger_picture_shows_the_same(scenes: Scenes) -> None:
    small, _ = paint(scenes, 32)
    large, _ = paint(scenes, 96)
    middles = large[:, :, 1::3, 1::3]  # the pixel in the middle of each 3 × 3
    assert (middles == small).double().mean() > 0.999


def test_one_by_one_as_all_at_once(scenes: Scenes) -> None:
    images, masks = paint(scenes, 32)
    for i in (0, 127, 128, 191):  # on both sides of what is painted at once
        image, mask = paint(draw_scenes(0, "train", [i]), 32)
        assert image[0].equal(images[i]) and mask[0].equal(masks[i])


def grid(half: float, n: int) -> tuple[Tensor, Tensor]:
    line = (torch.arange(n).double() + 0.5) / n * 2 * half - half
    v, u = torch.meshgrid(line, line, indexing="ij")
    return u[None], v[None]


@pytest.mark.parametrize("kind", range(len(SILHOUETTES) + 1))
def test_all_silhouettes_have_the_same_area_and_centre(kind: int) -> None:
    u, v = grid(2.5, 1500)
    covered = inside(torch.tensor([kind]), u, v)
    assert float(covered.double().mean()) * 25 == pytest.approx(math.pi, rel=0.01)
    assert abs(float(u[covered].mean())) < 0.06 and abs(float(v[covered].mean())) < 0.06


def test_silhouettes_differ_from_each_other() -> None:
    u, v = (w.expand(9, -1, -1) for w in grid(2.5, 400))
    covered = inside(torch.arange(9), u, v)
    for i in range(9):
        for j in range(i):
            union = (covered[i] | covered[j]).sum()
            assert (covered[i] & covered[j]).sum() < 0.91 * union, (i, j)


def test_textures_are_what_their_names_say(scenes: Scenes) -> None:
    y, x = (w.expand(8, -1, -1) for w in torch.meshgrid(*[torch.arange(48.0)] * 2, indexing="ij"))
    weave = type(scenes.weave)(
        torch.full((8, 1, 1), 4.0), torch.ones(8, 1, 1), scenes.weave.cells[:8]
    )
    named = dict(zip(TEXTURES, texture(torch.arange(8), x, y, weave), strict=True))

    def alike(tone: Tensor, down: int, right: int) -> float:
        moved = tone.roll((down, right), (0, 1))
        return float((tone == moved)[12:36, 12:36].double().mean())

    assert alike(named["horizontal"], 0, 1) == alike(named["vertical"], 1, 0) == 1
    assert alike(named["horizontal"], 2, 0) == alike(named["vertical"], 0, 2) == 0
    assert alike(named["diagonal"], 1, -1) == 1 and alike(named["diagonal"], 1, 1) < 0.6
    assert alike(named["checks"], 3, 0) == alike(named["checks"], 0, 3) == 0
    assert alike(named["checks"], 3, 3) == 1
    assert alike(named["zigzag"], 2, 0) == 0 and alike(named["zigzag"], 0, 8) == 1
    assert alike(named["zigzag"], 0, 4) < 0.6
    rings = torch.hypot(x[0], y[0]).remainder(4) < 2
    assert named["rings"].equal(rings)
    assert 0.2 < float(named["dots"].double().mean()) < 0.36
    assert 0.35 < alike(named["noise"], 3, 0) < 0.65 and 0.35 < alike(named["noise"], 0, 3) < 0.65
