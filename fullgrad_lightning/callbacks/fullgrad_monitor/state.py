"""What a monitor remembers from one validation to the next, and in checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fullgrad_lightning.callbacks.fullgrad_monitor.map_history import Film
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import Samples


def is_due(last: int | None, epoch: int, every_n_epochs: int) -> bool:
    """Whether the validations of an epoch are looked at: all of an epoch are, or none.

    Args:
        last: The latest epoch whose validations were.
        epoch: The present one.
        every_n_epochs: How often.
    """
    return last is None or epoch == last or epoch - last >= every_n_epochs


@dataclass
class Watched:
    """The samples that are watched, and what was seen of them.

    Attributes:
        samples: Chosen at the first validation that is explained.
        maps: Their latest maps, (n, 1, H, W); in the first process only.
        film: Their maps so far; likewise.
        last_epoch: The latest epoch whose validation was explained.
    """

    samples: Samples | None = None
    maps: Tensor | None = None
    film: Film = field(default_factory=Film)
    last_epoch: int | None = None

    def is_due(self, epoch: int, every_n_epochs: int) -> bool:
        """Whether a validation in this epoch is to be explained."""
        return is_due(self.last_epoch, epoch, every_n_epochs)

    def state(self) -> dict[str, Any]:
        return {
            "samples": None if self.samples is None else self.samples.state(),
            "maps": self.maps,
            "film": self.film.state(),
            "last_epoch": self.last_epoch,
        }

    @classmethod
    def of(cls, state: dict[str, Any], *, keep_maps: bool) -> Watched:
        """What was remembered; without its maps where they are no longer comparable."""
        samples = state["samples"]
        watched = cls(None if samples is None else Samples(**samples))
        watched.last_epoch = state["last_epoch"]
        if keep_maps:
            watched.maps, watched.film = state["maps"], Film(**state["film"])
        return watched
