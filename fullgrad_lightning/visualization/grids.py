"""Grids of saliency maps: samples by methods (Figure 3 of the paper), by layers, by validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.visualization.canvas import (
    GUTTER,
    MARGIN,
    NARROW,
    WIDTH,
    Canvas,
    Row,
    draw_rows,
    panel_size,
)
from fullgrad_lightning.visualization.display_names import display_name
from fullgrad_lightning.visualization.heatmaps import heatmap, overlay
from fullgrad_lightning.visualization.unnormalize import resized, to_pixels


def saliency_grid(
    images: Tensor,
    columns: Mapping[str, Tensor],
    titles: Sequence[str] = (),
    *,
    width: int = WIDTH,
) -> Tensor:
    """Draws a row for each sample: the input, and its map by each method.

    One method is shown twice, over the input and alone; several are shown over the input.

    Args:
        images: (N, 3, H, W), float32 in [0, 1], as ``unnormalized`` makes them.
        columns: Names of methods, registered ones or headings, and their maps (N, 1, h, w).
        titles: A line above each row, e.g. label, prediction, confidence; empty for none.
        width: The picture's width in pixels. Text is 20 pixels high.

    Returns:
        (3, height, width), uint8.

    Raises:
        ValueError: No sample, no method, or numbers of maps or titles that do not match.

    Examples:
        >>> import torch
        >>> images, maps = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)
        >>> saliency_grid(images, {"fullgrad": maps}, ["cat 97 %", "dog 51 %"]).shape[::2]
        torch.Size([3, 700])
    """
    _check(images, columns, titles)
    alone = len(columns) == 1
    headings = ["Input", *map(display_name, columns)] + ["Map alone"] * alone
    size = panel_size((images.shape[2], images.shape[3]), len(headings), width)
    inputs = resized(images, size)
    pictures = [inputs, *(overlay(inputs, maps) for maps in columns.values())]
    if alone:
        pictures += [heatmap(maps, size=size) for maps in columns.values()]
    return _draw_samples(pictures, headings, titles, width)


def film_strip(
    images: Tensor,
    frames: Sequence[Tensor],
    captions: Sequence[str],
    titles: Sequence[str] = (),
    *,
    most: int = 12,
) -> Tensor:
    """Draws a row for each sample: the input, and its map at one validation after the other.

    Args:
        images: (N, 3, H, W), float32 in [0, 1], as ``unnormalized`` makes them.
        frames: The maps (N, 1, h, w) of these samples at each validation.
        captions: A text above each column, e.g. "epoch 3".
        titles: A line above each row; empty for none.
        most: The maximum number of frames that are shown: of more, that number is evenly chosen,
            the first and the last among them.

    Returns:
        (3, height, width), uint8. 700 pixels wide, or more where there are more than 5 columns.

    Raises:
        ValueError: No sample, no frame, or numbers of maps, captions or titles that do not match.
    """
    if len(captions) != len(frames):
        raise ValueError(f"There must be {len(frames)} captions, one a frame, got {len(captions)}.")
    _check(images, {f"frame {i}": maps for i, maps in enumerate(frames)}, titles)
    if len(frames) > most:
        indices = evenly_spaced_indices(len(frames), most)
        frames, captions = [frames[i] for i in indices], [captions[i] for i in indices]
    columns = 1 + len(frames)
    width = max(WIDTH, columns * (NARROW + GUTTER) - GUTTER + 2 * MARGIN)
    inputs = resized(images, panel_size((images.shape[2], images.shape[3]), columns, width))
    pictures = [inputs, *(overlay(inputs, maps) for maps in frames)]
    return _draw_samples(pictures, ("Input", *captions), titles, width)


def layers_grid(
    image: Tensor, maps: Mapping[str, Tensor], *, per_row: int = 4, width: int = WIDTH
) -> Tensor:
    """Draws the image, then the map of each layer over it: Figure 1 of the paper.

    Args:
        image: (3, H, W), float32 in [0, 1].
        maps: Headings, e.g. names of sites, and maps (1, 1, h, w) of any resolution.
        per_row: The number of panels side by side.
        width: The picture's width in pixels. Text is 20 pixels high.

    Returns:
        (3, height, width), uint8.

    Raises:
        ValueError: No map, or other shapes.
    """
    if image.ndim != 3:
        raise ValueError(f"image must be (3, H, W), got shape {tuple(image.shape)}.")
    _check(image[None], maps, ())
    per_row = min(per_row, 1 + len(maps))
    size = panel_size((image.shape[1], image.shape[2]), per_row, width)
    input_ = resized(image[None], size)
    panels = list(
        to_pixels(torch.cat([input_, *(overlay(input_, layer) for layer in maps.values())]))
    )
    headings = ["Input", *maps]
    rows = [
        Row(panels=panels[i : i + per_row], headings=headings[i : i + per_row], keep="end")
        for i in range(0, len(panels), per_row)
    ]
    return _as_tensor(draw_rows(rows, per_row, width))


def _check(images: Tensor, columns: Mapping[str, Tensor], titles: Sequence[str]) -> None:
    """Checks that images, maps and titles belong together."""
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ValueError(
            f"images must be (N, 3, H, W) with N ≥ 1, got shape {tuple(images.shape)}. "
            "unnormalized() makes such of any input."
        )
    if not columns:
        raise ValueError("There must be maps to draw, got none.")
    for name, maps in columns.items():
        if maps.ndim != 4 or maps.shape[:2] != (len(images), 1):
            raise ValueError(
                f"The maps {name!r} must be ({len(images)}, 1, h, w), one for each image, "
                f"got shape {tuple(maps.shape)}."
            )
    if titles and len(titles) != len(images):
        raise ValueError(f"There must be {len(images)} titles, one an image, got {len(titles)}.")


def _draw_samples(
    columns: Sequence[Tensor], headings: Sequence[str], titles: Sequence[str], width: int
) -> Tensor:
    """Draws columns of pictures (N, 3, h, w), float32 in [0, 1], with headings above the first."""
    samples = zip(*map(to_pixels, columns), strict=True)
    rows = [
        Row(panels=panels, title=titles[i] if titles else "", headings=() if i else headings)
        for i, panels in enumerate(samples)
    ]
    return _as_tensor(draw_rows(rows, len(columns), width))


def _as_tensor(canvas: Canvas) -> Tensor:
    return torch.from_numpy(canvas.pixels.transpose(2, 0, 1).copy())
