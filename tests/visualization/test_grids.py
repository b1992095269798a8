"""Grids, pixel by pixel: panels where they belong, text that stays in its strip."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.visualization import heatmap, layers_grid, overlay, saliency_grid

# Three panels of 224 pixels fill 700: margins of 6, gutters of 8.
LEFTS = [6, 238, 470]


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def as_bytes(picture: Tensor) -> Tensor:
    return (picture * 255).round().to(torch.uint8)


def panels(grid: Tensor, rows: int) -> list[list[Tensor]]:
    """The panels of a grid with three columns and no titles, found from below."""
    bottoms = [grid.shape[1] - 6 - 232 * (rows - 1 - row) for row in range(rows)]
    return [[grid[:, end - 224 : end, left : left + 224] for left in LEFTS] for end in bottoms]


def enlarged(images: Tensor, times: int) -> Tensor:
    return images.repeat_interleave(times, -1).repeat_interleave(times, -2)


def changed_rows(one: Tensor, other: Tensor) -> list[int]:
    return (one != other).any(0).any(1).nonzero().flatten().tolist()


@pytest.mark.parametrize("side", [28, 32, 56, 224])
def test_panels_are_input_overlay_and_map(side: int) -> None:
    images, maps = noise(2, 3, side, side), noise(2, 1, side, side)
    grid = saliency_grid(images, {"fullgrad": maps})
    assert grid.dtype == torch.uint8 and grid.shape[2] == 700
    inputs = enlarged(images, 224 // side)
    expected = [inputs, overlay(inputs, maps), heatmap(maps, size=(224, 224))]
    for row, drawn in enumerate(panels(grid, 2)):
        for panel, picture in zip(drawn, expected, strict=True):
            assert torch.equal(panel, as_bytes(picture[row]))


def test_what_is_between_panels_is_white() -> None:
    grid = saliency_grid(noise(2, 3, 32, 32), {"fullgrad": noise(2, 1, 32, 32)})
    for row in panels(grid, 2):
        for panel in row:
            panel.fill_(255)
    below_headings = grid[:, -(2 * 224 + 8 + 6) :]
    assert (below_headings == 255).all() and (grid[:, :6] == 255).all()
    assert (grid[:, 6:] < 200).any()  # the headings


def test_several_methods_are_shown_over_the_input() -> None:
    images = noise(1, 3, 32, 32)
    maps = {"fullgrad": noise(1, 1, 32, 32), "gradcam": noise(1, 1, 4, 4)}
    grid = saliency_grid(images, maps)
    drawn = panels(grid, 1)[0]
    inputs = enlarged(images, 7)
    assert torch.equal(drawn[0], as_bytes(inputs[0]))
    for panel, one in zip(drawn[1:], maps.values(), strict=True):
        assert torch.equal(panel, as_bytes(overlay(inputs, one)[0]))


def test_a_title_changes_only_its_strip() -> None:
    images, maps = noise(3, 3, 32, 32), {"fullgrad": noise(3, 1, 32, 32)}
    before = saliency_grid(images, maps, ["cat", "dog", "cow"])
    after = saliency_grid(images, maps, ["cat", "a dog as far as can be seen, 99 %", "cow"])
    assert before.shape == after.shape
    rows = changed_rows(before, after)
    assert rows and rows[-1] - rows[0] < 30
    second_panel = before.shape[1] - 6 - 224 - 30 - (224 + 8)
    assert second_panel - 40 < rows[0] and rows[-1] < second_panel + 10
    assert (after[:, rows[0] : rows[-1]].amin(0) < 50).any()  # black on white


def test_without_titles_there_is_no_strip() -> None:
    images, maps = noise(3, 3, 32, 32), {"fullgrad": noise(3, 1, 32, 32)}
    bare, titled = saliency_grid(images, maps), saliency_grid(images, maps, ["cat"] * 3)
    assert saliency_grid(images, maps, [""] * 3).shape == bare.shape
    strips = titled.shape[1] - bare.shape[1]
    assert strips % 3 == 0 and strips // 3 > 20


@pytest.mark.parametrize("title", ["W" * 300, "two words " * 50, "line\nbreak"])
def test_a_long_title_stays_inside(title: str) -> None:
    images, maps = noise(1, 3, 32, 32), {"fullgrad": noise(1, 1, 32, 32)}
    grid = saliency_grid(images, maps, [title])
    assert grid.shape == saliency_grid(images, maps, ["cat"]).shape
    assert (grid[:, :, :6] == 255).all() and (grid[:, :, -6:] == 255).all()


def test_long_headings_stay_above_their_panels() -> None:
    images = noise(1, 3, 32, 32)
    maps = {letter * 80: noise(1, 1, 32, 32) for letter in "WM"}
    grid = saliency_grid(images, maps)
    for left, right in pairwise(LEFTS):
        assert (grid[:, :, left + 224 : right] == 255).all()
    assert (grid[:, :, -6:] == 255).all()


def test_six_methods_are_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "input_gradient integrated_gradients smoothgrad gradcam smooth_fullgrad fullgrad"
    columns = {name: noise(1, 1, 32, 32) for name in names.split()}
    drawn = saliency_grid(noise(1, 3, 32, 32), columns)
    monkeypatch.setattr("fullgrad_lightning.visualization.fonts.ELLIPSIS", "W")
    assert torch.equal(saliency_grid(noise(1, 3, 32, 32), columns), drawn)


@pytest.mark.parametrize("methods", [1, 2, 3, 6, 12])
@pytest.mark.parametrize("width", [700, 1240])
def test_the_width_is_kept(methods: int, width: int) -> None:
    columns = {f"method {i}": noise(2, 1, 32, 32) for i in range(methods)}
    grid = saliency_grid(noise(2, 3, 32, 32), columns, ["cat", "dog"], width=width)
    assert grid.shape[2] == width
    assert (grid[:, :, -6:] == 255).all()
    assert (grid[:, :, -6 - width // 20 :] < 255).any()  # drawn up to the margin


def test_images_keep_their_shape() -> None:
    wide = saliency_grid(noise(1, 3, 32, 64), {"fullgrad": noise(1, 1, 32, 64)})
    square = saliency_grid(noise(1, 3, 64, 64), {"fullgrad": noise(1, 1, 64, 64)})
    assert square.shape[1] - wide.shape[1] == 112
    high = saliency_grid(noise(1, 3, 300, 3), {"fullgrad": noise(1, 1, 300, 3)})
    assert high.shape[1] - square.shape[1] == 224  # at most twice as high as wide


def test_layers_follow_the_image() -> None:
    image = noise(3, 32, 32)
    maps = {f"layer{i}": noise(1, 1, 4 * i, 4 * i) for i in range(1, 6)}
    grid = layers_grid(image, maps, per_row=3)
    assert grid.dtype == torch.uint8 and grid.shape[2] == 700
    inputs = enlarged(image[None], 7)
    expected = [inputs, *(overlay(inputs, one) for one in maps.values())]
    row = (grid.shape[1] - 2 * 6 + 8) // 2  # text, panel and gutter
    bottoms = [grid.shape[1] - 6 - row, grid.shape[1] - 6]
    for place, picture in enumerate(expected):
        bottom, left = bottoms[place // 3], LEFTS[place % 3]
        panel = grid[:, bottom - 224 : bottom, left : left + 224]
        assert torch.equal(panel, as_bytes(picture[0]))


def test_few_layers_take_the_width() -> None:
    image, maps = noise(3, 32, 32), {name: noise(1, 1, 8, 8) for name in ("a", "b")}
    grid = layers_grid(image, maps)
    assert torch.equal(grid[:, -230:-6, 6:230], as_bytes(enlarged(image, 7)))


def test_names_of_layers_are_told_apart_by_their_ends() -> None:
    image = noise(3, 32, 32)
    stem = "features.denseblock1.denselayer2.and.so.on"
    drawn = [layers_grid(image, {stem + end: noise(1, 1, 8, 8)}) for end in ("1", "1")]
    other = layers_grid(image, {stem + "2": noise(1, 1, 8, 8)})
    assert torch.equal(*drawn)
    assert changed_rows(drawn[0], other)


@pytest.mark.parametrize(
    ("images", "maps", "titles", "message"),
    [
        ((3, 8, 8), (1, 1, 8, 8), [], r"images must be \(N, 3, H, W\) with N ≥ 1"),
        ((0, 3, 8, 8), (0, 1, 8, 8), [], r"images must be \(N, 3, H, W\) with N ≥ 1"),
        ((2, 1, 8, 8), (2, 1, 8, 8), [], r"unnormalized\(\) makes such"),
        ((2, 3, 8, 8), (1, 1, 8, 8), [], r"The maps 'fullgrad' must be \(2, 1, h, w\)"),
        ((2, 3, 8, 8), (2, 3, 8, 8), [], r"got shape \(2, 3, 8, 8\)"),
        ((2, 3, 8, 8), (2, 1, 8, 8), ["cat"], "There must be 2 titles, one an image, got 1"),
    ],
)
def test_errors(
    images: tuple[int, ...], maps: tuple[int, ...], titles: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        saliency_grid(torch.zeros(images), {"fullgrad": torch.zeros(maps)}, titles)


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="There must be maps to draw"):
        saliency_grid(torch.zeros(1, 3, 8, 8), {})
    with pytest.raises(ValueError, match=r"image must be \(3, H, W\)"):
        layers_grid(torch.zeros(1, 3, 8, 8), {"a": torch.zeros(1, 1, 8, 8)})
