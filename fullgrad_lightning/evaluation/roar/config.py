"""The grid: methods × fractions × seeds, and all that is the same for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.utilities.files import SAFE_NAME

_RESERVED = ("reference",)


class ConfigError(ValueError):
    """Something is wrong with a grid, and nothing of it was started."""


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """One series of cells.

    Args:
        name: What it is called in tables.
        method: A name of ``saliency_methods()``.
        options: Of the method.
        seeds: Those of the grid, unless the entry has its own.
        store: A finished store of ranks that serves all seeds, instead of estimating.
        mask_only: The control: images are replaced by their masks.
    """

    name: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...]
    store: str | None = None
    mask_only: bool = False


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """A grid of retrainings, as its YAML file has it.

    Args:
        methods: Name -> ``{method, options, seeds, store, mask_only}``, all optional: ``method`` is
            the name, ``seeds`` those of the grid, ``mask_only`` that of the grid.
        data: ``{class_path, init_args}`` of a LightningDataModule with map-style data sets.
        model: The same of a LightningModule that logs a test accuracy.
        trainer: Arguments of the Trainer; ``max_epochs`` at least. By default one device.
        output: Folder of everything.
        fractions: Shares of the pixels, in (0, 1]; 0, the reference, is always there.
        seeds: One training of each cell for each.
        order: Which pixels are chosen first.
        remove: ``False``: keep-and-retrain, the chosen pixels are kept and the others replaced.
        fill: What replaces pixels.
        mask_only: Images are replaced by their masks.
        target: The class that is explained, ``"predicted"``, ``"label"`` or an index.
        reference: A checkpoint whose maps serve all seeds; ``None``: each seed's own reference,
            its cell of fraction 0.

    Raises:
        ConfigError: Fractions or seeds out of range or twice, unknown keys, names that make no
            folder, no ``max_epochs``.

    Examples:
        >>> grid = GridConfig(methods={"random": {}}, data={}, model={}, trainer={"max_epochs": 1})
        >>> [entry.method for entry in grid.entries], grid.all_seeds
        (['random'], (0, 1, 2))
    """

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
    target: str | int = "predicted"
    reference: str | None = None

    def __post_init__(self) -> None:
        _check_fractions(self.fractions)
        _check_seeds("seeds", self.seeds)
        for name, value, choices in (
            ("order", self.order, get_args(Order)),
            ("fill", self.fill, get_args(Fill)),
        ):
            if value not in choices:
                raise ConfigError(f"{name} must be one of {choices}, got {value!r}.")
        if isinstance(self.target, str) and self.target not in ("predicted", "label"):
            raise ConfigError(
                f'target must be "predicted", "label" or a class index, got {self.target!r}.'
            )
        if not self.methods:
            raise ConfigError("methods is empty. Name at least one, as {random: {}}.")
        assert self.entries
        _check_trainer(self.trainer)

    @property
    def entries(self) -> list[MethodSpec]:
        """The series, in the order of ``methods``."""
        return [self._entry(name, options or {}) for name, options in self.methods.items()]

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """Seeds of the grid and of single entries: each has a reference."""
        return tuple(dict.fromkeys([*self.seeds, *(s for e in self.entries for s in e.seeds)]))

    def _entry(self, name: str, options: Mapping[str, Any]) -> MethodSpec:
        if not SAFE_NAME.fullmatch(name) or name in _RESERVED:
            raise ConfigError(
                f"methods: {name!r} is no name for a series. Use letters, digits and single _, "
                f"- or + between them, and none of {_RESERVED}."
            )
        known = ("method", "options", "seeds", "store", "mask_only")
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ConfigError(
                f"methods.{name} has no key {unknown[0]!r}. It may have {', '.join(known)}; what "
                "belongs to the method goes under options."
            )
        if options.get("store") is not None and {"method", "options"} & set(options):
            raise ConfigError(
                f"methods.{name} has a store, which holds the maps: it takes no method or options."
            )
        seeds = options.get("seeds", self.seeds)
        _check_seeds(f"methods.{name}.seeds", seeds)
        return MethodSpec(
            name=name,
            method=options.get("method", name),
            options=dict(options.get("options") or {}),
            seeds=tuple(seeds),
            store=options.get("store"),
            mask_only=bool(options.get("mask_only", self.mask_only)),
        )


def _check_fractions(fractions: Sequence[float]) -> None:
    wrong = [f for f in fractions if not isinstance(f, int | float) or not 0 < f <= 1]
    if wrong:
        raise ConfigError(
            f"fractions must lie in (0, 1], got {wrong[0]!r}. 0, the reference, is always there."
        )
    if len(set(fractions)) < len(fractions) or not fractions:
        raise ConfigError(f"fractions must be distinct, and at least one, got {fractions}.")


def _check_seeds(name: str, seeds: Any) -> None:
    whole = isinstance(seeds, list | tuple) and all(
        isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds
    )
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"{name} must be distinct integers ≥ 0, at least one, got {seeds!r}.")


# What each cell sets itself, or what would make it another training after a kill; and why.
_OWNED = {
    "logger": "each cell logs to its own folder",
    "default_root_dir": "each cell has its own folder",
    "enable_checkpointing": "each cell keeps its last.ckpt",
    "use_distributed_sampler": "each cell deals the samples out itself",
    "fast_dev_run": "it leaves no files; use max_epochs: 1 and limit_train_batches",
    "max_steps": "a cell goes on from the end of an epoch; use max_epochs",
    "max_time": "the end would depend on the machine; use max_epochs",
}


def _check_trainer(trainer: Mapping[str, Any]) -> None:
    for name, reason in _OWNED.items():
        if name in trainer:
            raise ConfigError(f"trainer.{name} cannot be set: {reason}.")
    if "max_epochs" not in trainer:
        raise ConfigError(
            "trainer.max_epochs is missing: how many epochs each network is trained. There are: "
            f"{', '.join(trainer) or 'none'}."
        )
    epochs = trainer["max_epochs"]
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
        raise ConfigError(f"trainer.max_epochs must be an integer ≥ 1, got {epochs!r}.")
