"""State of a monitor between validations, which checkpoints carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fullgrad_lightning.callbacks.fullgrad_monitor.map_history import MapHistory
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import WatchedSamples


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
