"""Saliency over the course of a training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullgrad_lightning.visualization.canvas import GUTTER, MARGIN, NARROW, WIDTH, panel_size, sheet
from fullgrad_lightning.visualization.heatmap import overlay
from fullgrad_lightning.visualization.saliency_grid import check, sample_rows
from fullgrad_lightning.visualization.unnormalize import resized


def film_strip(
    images: Tensor,
    frames: Sequence[Tensor],
    captions: Sequence[str],
    titles: Sequence[str] = (),
    *,
    most: int = 12,
) -> Tensor:
    """A row for each sample: the input, and its map at one validation after the other.

    Args:
        images: (N, 3, H, W), float32 in [0, 1], as ``unnormalized`` makes them.
        frames: Of each validation the maps (N, 1, h, w) of these samples.
        captions: A text above each column, e.g. "epoch 3".
        titles: A line above each row; empty for none.
        most: Of more frames than this, as many are shown, evenly chosen, with the first and last.

    Returns:
        (3, height, width), uint8. 700 pixels wide, or more where there are more than 5 columns.

    Raises:
        ValueError: No sample, no frame, or numbers of maps, captions or titles that do not match.
    """
    if len(captions) != len(frames):
        raise ValueError(f"There must be {len(frames)} captions, one a frame, got {len(captions)}.")
    check(images, {f"frame {i}": maps for i, maps in enumerate(frames)}, titles)
    if len(frames) > most:
        chosen = torch.linspace(0, len(frames) - 1, most).round().int().tolist()
        frames, captions = [frames[i] for i in chosen], [captions[i] for i in chosen]
    columns = 1 + len(frames)
    width = max(WIDTH, columns * (NARROW + GUTTER) - GUTTER + 2 * MARGIN)
    size = panel_size((images.shape[2], images.shape[3]), columns, width)
    inputs = resized(images, size)
    shown = [inputs, *(overlay(inputs, maps) for maps in frames)]
    return sheet(sample_rows(shown, ("Input", *captions), titles), columns, width)
