"""State of a monitor between validations, which checkpoints carry: samples and their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import WatchedSamples

MAX_FRAMES = 12  # columns that fit on a screen; a checkpoint carries as many
_MAX_SIDE = 112  # of a frame, in pixels: the width at which a column is drawn


@dataclass
class MapHistory:
    """Maps of the watched samples, validation by validation: the frames of a film strip.

    When there are more than ``MAX_FRAMES``, every second one is dropped, and from then on every
    second validation is recorded: the strip spans the whole training at any time. The latest
    validation is always the last frame.

    Attributes:
        frames: (n, 1, h, w) float16 each.
        epochs: The epoch of each frame; -1: before training.
        steps: The step of each frame.
        numbers: The number of each frame's validation, counted from 0.
        stride: Interval of the recorded validations.
        count: Number of validations so far.
    """

    frames: list[Tensor] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    stride: int = 1
    count: int = 0

    def add(self, maps: Tensor, epoch: int, step: int) -> None:
        """Records the maps (n, 1, H, W) of one more validation; epoch -1: before training."""
        if self.numbers and self.numbers[-1] % self.stride:
            self._drop(-1)  # it was kept as the latest only
        self.frames.append(_shrink(maps))
        self.epochs.append(epoch)
        self.steps.append(step)
        self.numbers.append(self.count)
        self.count += 1
        if len(self.frames) > MAX_FRAMES:
            self.stride *= 2
            for i in reversed(range(len(self.frames) - 1)):
                if self.numbers[i] % self.stride:
                    self._drop(i)

    def captions(self) -> list[str]:
        """Returns the heading of each frame: its epoch, or its step where epochs repeat."""
        by_epoch = len(set(self.epochs)) == len(self.epochs)
        return [
            "before" if epoch < 0 else f"epoch {epoch}" if by_epoch else f"step {step}"
            for epoch, step in zip(self.epochs, self.steps, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def _drop(self, i: int) -> None:
        columns: Sequence[list[Any]] = (self.frames, self.epochs, self.steps, self.numbers)
        for column in columns:
            del column[i]


@dataclass
class MonitorState:
    """The watched samples and their maps.

    Attributes:
        samples: The samples; ``None`` before the first validation that is explained.
        maps: The latest maps of the samples by the main method, (n, 1, H, W); in the first process
            only.
        history: The maps of all validations so far; in the first process only.
    """

    samples: WatchedSamples | None = None
    maps: Tensor | None = None
    history: MapHistory = field(default_factory=MapHistory)

    def update(self, maps: Tensor, epoch: int, step: int) -> None:
        """Stores the maps (n, 1, H, W) of one more validation; epoch -1: before training."""
        self.maps = maps
        self.history.add(maps, epoch, step)

    def state_dict(self) -> dict[str, Any]:
        return {
            "samples": None if self.samples is None else self.samples.state_dict(),
            "maps": self.maps,
            "film": self.history.state_dict(),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any], *, keep_maps: bool) -> MonitorState:
        """Restores a state; without its maps where they are no longer comparable."""
        samples = None if state["samples"] is None else WatchedSamples(**state["samples"])
        if not keep_maps:
            return cls(samples)
        return cls(samples, state["maps"], MapHistory(**state["film"]))


def _shrink(maps: Tensor) -> Tensor:
    """Scales maps to an absolute maximum of 1 and to the size of a frame, float16."""
    maps = maps.detach().float().cpu().nan_to_num(0, 0, 0)
    scale = maps.abs().flatten(1).amax(1).clamp(min=torch.finfo(torch.float32).tiny)
    maps = maps / scale.view(-1, 1, 1, 1)
    longest = max(maps.shape[-2:])
    if longest > _MAX_SIDE:
        factor = _MAX_SIDE / longest
        maps = F.interpolate(maps, scale_factor=factor, mode="bilinear", antialias=True)
    return maps.half()
