"""What a film strip is made of: the maps of the watched samples at each validation, few enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_FRAMES = 12  # columns that fit on a screen, and what a checkpoint carries
_LONGEST_SIDE = 112  # of a frame, in pixels: as large as a column is drawn


@dataclass
class Film:
    """Maps of the watched samples, validation by validation.

    When there are more than ``MOST_FRAMES``, every second one is dropped, and from then on every
    second validation is recorded: the strip spans the whole training at any time. The latest
    validation is always the last column.
    """

    frames: list[Tensor] = field(default_factory=list)  # (n, 1, h, w) float16
    epochs: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)  # of the validation, counted from 0
    stride: int = 1
    count: int = 0

    def add(self, maps: Tensor, epoch: int, step: int) -> None:
        """Records the maps (n, 1, H, W) of one more validation; epoch -1: before training."""
        if self.numbers and self.numbers[-1] % self.stride:
            self._drop(-1)  # it was kept as the latest only
        self.frames.append(_small(maps))
        self.epochs.append(epoch)
        self.steps.append(step)
        self.numbers.append(self.count)
        self.count += 1
        if len(self.frames) > MOST_FRAMES:
            self.stride *= 2
            for i in reversed(range(len(self.frames) - 1)):
                if self.numbers[i] % self.stride:
                    self._drop(i)

    def captions(self) -> list[str]:
        """What stands above each frame: its epoch, or its step where an epoch has several."""
        by_epoch = len(set(self.epochs)) == len(self.epochs)
        return [
            "before" if epoch < 0 else f"epoch {epoch}" if by_epoch else f"step {step}"
            for epoch, step in zip(self.epochs, self.steps, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        return dict(vars(self))

    def _drop(self, i: int) -> None:
        entries: Sequence[list[Any]] = (self.frames, self.epochs, self.steps, self.numbers)
        for entry in entries:
            del entry[i]


def _small(maps: Tensor) -> Tensor:
    """Maps scaled to at most 1 in size and to the size of a frame, float16."""
    maps = maps.detach().float().cpu().nan_to_num(0, 0, 0)
    scale = maps.abs().flatten(1).amax(1).clamp(min=torch.finfo(torch.float32).tiny)
    maps = maps / scale.view(-1, 1, 1, 1)
    longest = max(maps.shape[-2:])
    if longest > _LONGEST_SIDE:
        factor = _LONGEST_SIDE / longest
        maps = F.interpolate(maps, scale_factor=factor, mode="bilinear", antialias=True)
    return maps.half()
