"""The options of a monitor, checked where they are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_int

_WITH_PSI = ("fullgrad", "simple_fullgrad", "smooth_fullgrad")


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """What ``FullGradMonitor`` was asked for; see there.

    Raises:
        TypeError, ValueError: An option that does not exist or is out of range.
    """

    num_samples: int
    target: Literal["predicted", "label"] | int
    method: str
    method_options: dict[str, Any] | None
    methods: Sequence[str]
    postprocess: str | None
    layer_maps: bool
    every_n_epochs: int
    indices: Sequence[int] | None
    residual_samples: int
    mean: Sequence[float] | None
    std: Sequence[float] | None
    class_names: Sequence[str] | None
    tolerance: float | None
    on_incomplete: Literal["warn", "error", "ignore"]
    dataloader_idx: int

    def __post_init__(self) -> None:
        for name in ("num_samples", "every_n_epochs", "residual_samples"):
            check_int(name, getattr(self, name), 1)
        if self.target not in ("predicted", "label") and not _index(self.target):
            raise ValueError(
                "target must be 'predicted' (the top class of each sample), 'label' or a class "
                f"index ≥ 0, got {self.target!r}."
            )
        if self.indices is not None:
            wrong = [index for index in self.indices if not _index(index)]
            if wrong or not self.indices or len(set(self.indices)) < len(self.indices):
                raise ValueError(
                    "indices must be distinct positions ≥ 0 in the validation set, at least one, "
                    f"got {list(self.indices)!r}."
                )
        if self.on_incomplete not in ("warn", "error", "ignore"):
            raise ValueError(
                f"on_incomplete must be 'warn', 'error' or 'ignore', got {self.on_incomplete!r}."
            )
        if self.tolerance is not None and not self.tolerance > 0:
            raise ValueError(
                f"tolerance must be a relative residual > 0, or None for the default of the dtype, "
                f"got {self.tolerance!r}."
            )
        loader_option(self.dataloader_idx)
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std must be given together: they undo the normalisation.")
        if isinstance(self.methods, str):
            raise ValueError(f"methods must be a list of names, got {self.methods!r}.")
        if self.postprocess is not None and not set(self.names) & set(_WITH_PSI):
            raise ValueError(
                f"postprocess belongs to {', '.join(_WITH_PSI)}; none of them is among the methods "
                f"{', '.join(self.names)}."
            )
        self.saliency_methods()

    @property
    def names(self) -> tuple[str, ...]:
        """The methods' names, the main one first."""
        return (self.method, *(name for name in self.methods if name != self.method))

    def wanted(self, reachable: int | None) -> tuple[int, ...]:
        """Positions in the validation set of the samples to watch, in the order they are shown.

        Args:
            reachable: How many samples a validation passes; ``None`` if that is not known.
        """
        if self.indices is not None:
            return tuple(self.indices)
        if reachable is None or reachable <= self.num_samples:
            return tuple(range(self.num_samples))
        return tuple(i * reachable // self.num_samples for i in range(self.num_samples))

    def saliency_methods(self) -> dict[str, SaliencyMethod]:
        """The methods by name, the main one first."""
        return {name: saliency_method(name, **self._options_of(name)) for name in self.names}

    def _options_of(self, name: str) -> dict[str, Any]:
        options = dict(self.method_options or {}) if name == self.method else {}
        if self.postprocess is not None and name in _WITH_PSI:
            options.setdefault("postprocess", self.postprocess)
        return options

    def shown(self) -> dict[str, Any]:
        """All options, for those who save them."""
        return {option.name: getattr(self, option.name) for option in fields(self)}


def loader_option(dataloader_idx: object) -> None:
    """Checks which of several loaders is meant.

    Raises:
        ValueError: No integer ≥ 0.
    """
    if not _index(dataloader_idx):
        raise ValueError(f"dataloader_idx must be ≥ 0, got {dataloader_idx!r}.")


def _index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
