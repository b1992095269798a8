"""Grids of saliency maps: samples by methods (Figure 3 of the paper), layers (Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from fullgrad_lightning.visualization.canvas import WIDTH, Row, as_bytes, panel_size, sheet
from fullgrad_lightning.visualization.fonts import display_name
from fullgrad_lightning.visualization.heatmap import heatmap, overlay
from fullgrad_lightning.visualization.unnormalize import resized


def saliency_grid(
    images: Tensor,
    columns: Mapping[str, Tensor],
    titles: Sequence[str] = (),
    *,
    width: int = WIDTH,
) -> Tensor:
    """A row for each sample: the input, and what each method finds in it.

    One method is shown twice, over the input and alone; several are shown over the input.

    Args:
        images: (N, 3, H, W), float32 in [0, 1], as ``unnormalized`` makes them.
        columns: Names of methods, registered ones or headings, and their maps (N, 1, h, w).
        titles: A line above each row, e.g. label, prediction, confidence; empty for none.
        width: Of the picture, in pixels. Text is 20 pixels high.

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
    check(images, columns, titles)
    alone = len(columns) == 1
    headings = ["Input", *map(display_name, columns)] + ["Map alone"] * alone
    size = panel_size((images.shape[2], images.shape[3]), len(headings), width)
    inputs = resized(images, size)
    shown = [inputs, *(overlay(inputs, maps) for maps in columns.values())]
    if alone:
        shown += [heatmap(maps, size=size) for maps in columns.values()]
    return sheet(sample_rows(shown, headings, titles), len(headings), width)


def layers_grid(
    image: Tensor, maps: Mapping[str, Tensor], *, per_row: int = 4, width: int = WIDTH
) -> Tensor:
    """The image, then the map of each layer over it: Figure 1 of the paper.

    Args:
        image: (3, H, W), float32 in [0, 1].
        maps: Headings, e.g. names of sites, and maps (1, 1, h, w) of any resolution.
        per_row: How many panels stand side by side.
        width: Of the picture, in pixels. Text is 20 pixels high.

    Returns:
        (3, height, width), uint8.

    Raises:
        ValueError: No map, or other shapes.
    """
    if image.ndim != 3:
        raise ValueError(f"image must be (3, H, W), got shape {tuple(image.shape)}.")
    check(image[None], maps, ())
    per_row = min(per_row, 1 + len(maps))
    size = panel_size((image.shape[1], image.shape[2]), per_row, width)
    input_ = resized(image[None], size)
    panels = [as_bytes(one[0]) for one in (input_, *(overlay(input_, m) for m in maps.values()))]
    headings = ["Input", *maps]
    rows = [
        Row(panels=panels[i : i + per_row], headings=headings[i : i + per_row], keep="end")
        for i in range(0, len(panels), per_row)
    ]
    return sheet(rows, per_row, width)


def check(images: Tensor, columns: Mapping[str, Tensor], titles: Sequence[str]) -> None:
    """Checks that images, maps and titles belong together.

    Raises:
        ValueError: They do not.
    """
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


def sample_rows(
    columns: Sequence[Tensor], headings: Sequence[str], titles: Sequence[str]
) -> list[Row]:
    """A row for each sample, headings above the first.

    Args:
        columns: Pictures (N, 3, h, w), float32 in [0, 1].
        headings: One for each column.
        titles: One for each row, or none.
    """
    samples = zip(*map(as_bytes, columns), strict=True)
    return [
        Row(panels=panels, title=titles[i] if titles else "", headings=() if i else headings)
        for i, panels in enumerate(samples)
    ]
