"""Draws clothes whose evidence was removed, for ``benchmarks.psi``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import psi_tasks as tasks
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics import class_flipping
from fullgrad_lightning.metrics.functional.class_flipping import Flip
from fullgrad_lightning.visualization import heatmap, unnormalized
from fullgrad_lightning.visualization.canvas import Row, draw_rows, panel_size
from fullgrad_lightning.visualization.unnormalize import resized, to_pixels

SHOWN = ((9, 7), (9, 5), (3, 1), (2, 0))
WIDTH = 980
REMOVED = (0.85, 0.25, 0.2)  # black for the network; here red, unlike the black background


def draw(
    network: nn.Module, images: Tensor, labels: Tensor, names: Sequence[str], file: Path
) -> None:
    """Draws a row for each pair, of the image that ``signed`` changes by the median."""
    rows = [
        make_row(network, tasks.pair_images(network, images, labels, pair), pair, names)
        for pair in SHOWN
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    draw_rows(rows, len(rows[0].panels), WIDTH).image.save(file, optimize=True)


def make_row(network: nn.Module, x: Tensor, pair: tuple[int, int], names: Sequence[str]) -> Row:
    """Draws the image, the signed evidence, and the image without its strongest, by evidence."""
    a, b = pair
    black, evidences = PixelReplacer(mean=tasks.MEAN, std=tasks.STD), tasks.evidences()

    def flipped(x: Tensor, evidence: Tensor) -> Flip:
        return class_flipping(
            network, x, evidence, [tasks.MOST], original=a, target=b, replacement=black,
            sample_ids=range(len(x)),
        )  # fmt: skip

    changes = flipped(x, evidences["signed"](network, x, a, b)).change[:, 0]
    x = x[int(changes.argsort()[len(x) // 2])][None]
    signed = evidences["signed"](network, x, a, b)
    removers = {
        "signed": signed,
        "on clothes": signed * tasks.is_clothing(x),
        **{name: evidences[name](network, x, a, b) for name in ("paper", "abs", "random")},
    }
    size = panel_size((28, 28), 2 + len(removers), WIDTH)
    picture = unnormalized(x, tasks.MEAN, tasks.STD)
    log_odds = float(flipped(x, signed).log_odds)
    short = names[b].split("/")[0]
    panels = [resized(picture, size), heatmap(signed, size=size, signed=True)]
    headings = [f"{names[a]} → {short} {log_odds:.1f}", "signed evidence"]
    for name, evidence in removers.items():
        flip = flipped(x, evidence)
        removed = tasks.removed_by(evidence, [0])[:, None]
        panels.append(
            resized(torch.where(removed, torch.tensor(REMOVED)[:, None, None], picture), size)
        )
        change = f"{float(flip.change):+.1f}".replace("-", "−")
        headings.append(f"{name} {change}{' ✓' if flip.flipped else ''}")
    return Row(panels=list(to_pixels(torch.cat(panels))), headings=headings)
