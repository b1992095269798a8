"""The grid: methods × fractions × seeds, and all that is the same for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fullgrad_lightning.evaluation.config import (
    ConfigError,
    MethodSpec,
    check_trainer_arguments,
    config_errors,
    parse_methods,
)
from fullgrad_lightning.evaluation.roar.jobs import REFERENCE
from fullgrad_lightning.masking.options import FILLS, ORDERS, Fill, Order
from fullgrad_lightning.utilities.checks import (
    check_choice,
    check_distinct_ints,
    check_fraction,
    check_int,
)
from fullgrad_lightning.utilities.targets import TargetSpec, check_target


@dataclass(frozen=True, kw_only=True)
class SeriesSpec(MethodSpec):
    """One series of cells.

    Args:
        name, method, options: See ``MethodSpec``.
        seeds: The seeds of its cells.
        store: A finished store of ranks that serves all seeds, instead of computed maps.
        mask_only: The control: images are replaced by their masks.

    Raises:
        ValueError: Wrong seeds; a store together with a method or options.
        TypeError: ``mask_only`` is not a boolean.
    """

    seeds: Sequence[int]
    store: str | None = None
    mask_only: bool = False

    def __post_init__(self) -> None:
        check_distinct_ints(f"methods.{self.name}.seeds", self.seeds)
        if self.store is not None and (self.method != self.name or self.options):
            raise ValueError(
                f"methods.{self.name} has a store, which holds the maps: it takes no method or "
                "options."
            )
        if not isinstance(self.mask_only, bool):
            raise TypeError(
                f"methods.{self.name}.mask_only must be true or false, got {self.mask_only!r}."
            )


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """A grid of retrainings, as its YAML file describes it.

    Args:
        methods: Name -> ``{method, options, seeds, store, mask_only}``, all optional: ``method`` is
            the name by default, ``seeds`` and ``mask_only`` are those of the grid.
        data: ``{class_path, init_args}`` of a LightningDataModule with map-style data sets.
        model: ``{class_path, init_args}`` of a LightningModule that logs a test accuracy.
        trainer: Arguments of the Trainer; ``max_epochs`` at least. By default one device.
        output: Folder of all files.
        fractions: Shares of the pixels, in (0, 1]; the reference, 0, is always trained.
        seeds: Each cell is trained once for each seed.
        order: The end of the order of pixels that is chosen.
        remove: ``False``: keep-and-retrain, the chosen pixels are kept and the others replaced.
        fill: The replacement of pixels.
        mask_only: Images are replaced by their masks.
        target: The explained class: ``"predicted"``, ``"label"`` or an index.
        reference: A checkpoint whose maps serve all seeds; ``None``: each seed's own reference,
            its cell of fraction 0.

    Raises:
        ConfigError: Fractions or seeds out of range or repeated, unknown keys, names that are not
            valid as folders, no ``max_epochs``.

    Examples:
        >>> grid = GridConfig(methods={"random": {}}, data={}, model={}, trainer={"max_epochs": 1})
        >>> [spec.method for spec in grid.specs], grid.all_seeds
        (['random'], (0, 1, 2))
    """

    reserved: ClassVar[Mapping[str, str]] = {
        "use_distributed_sampler": "each cell distributes its samples itself",
        "fast_dev_run": "it writes no files; use max_epochs: 1 and limit_train_batches",
        "max_steps": "a cell resumes from the end of an epoch; use max_epochs",
        "max_time": "the result would depend on the machine; use max_epochs",
    }
    """More arguments of the Trainer that are not left to the user, and why."""

    methods: dict[str, Any]
    data: dict[str, Any]
    model: dict[str, Any]
    trainer: dict[str, Any]
    output: str = "runs/roar"
    fractions: list[float] = field(default_factory=lambda: [0.1, 0.3, 0.5, 0.7, 0.9])
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    order: Order = "most_salient"
    remove: bool = True
    fill: Fill = "mean"
    mask_only: bool = False
    target: TargetSpec = "predicted"
    reference: str | None = None

    def __post_init__(self) -> None:
        with config_errors():
            _check_fractions(self.fractions)
            check_distinct_ints("seeds", self.seeds)
            check_choice("order", self.order, ORDERS)
            check_choice("fill", self.fill, FILLS)
            check_target(self.target)
            _ = self.specs  # parsed for its checks
            self._check_trainer()

    @property
    def specs(self) -> list[SeriesSpec]:
        """The series, in the order of ``methods``."""
        defaults = {"seeds": self.seeds, "mask_only": self.mask_only}
        return parse_methods(self.methods, SeriesSpec, defaults=defaults, reserved=(REFERENCE,))

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the grid and of single series: each has a reference."""
        return tuple(dict.fromkeys([*self.seeds, *(s for spec in self.specs for s in spec.seeds)]))

    def _check_trainer(self) -> None:
        check_trainer_arguments(self.trainer, self.reserved)
        if "max_epochs" not in self.trainer:
            raise ConfigError(
                "trainer.max_epochs is missing: the number of epochs of each training. Given are: "
                f"{', '.join(self.trainer) or 'none'}."
            )
        check_int("trainer.max_epochs", self.trainer["max_epochs"], 1)


@dataclass(frozen=True, kw_only=True)
class ResolvedGrid(GridConfig):
    """A grid with full class paths and all defaults written out; see ``resolve_grid``."""


def _check_fractions(fractions: Sequence[float]) -> None:
    for fraction in fractions:
        check_fraction("fractions", fraction)
        if fraction == 0:
            raise ValueError(
                "fractions must be > 0, got 0: the reference, without replacement, is always "
                "trained."
            )
    if not fractions or len(set(fractions)) < len(fractions):
        raise ValueError(f"fractions must be distinct, at least one, got {fractions}.")
