"""Configuration of an evaluation: which methods explain which images. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from fullgrad_lightning.utilities.checks import check_choice, check_int
from fullgrad_lightning.utilities.files import SAFE_NAME
from fullgrad_lightning.utilities.targets import TargetSpec, check_target

SPLITS = ("val", "test", "predict")
# Arguments of the Trainer that no evaluation leaves to the user, and why.
_RESERVED = {
    "logger": "logs and reports go to the output folder",
    "default_root_dir": "all files go to the output folder",
    "enable_checkpointing": "checkpoints are written where they are needed to resume",
}


class ConfigError(ValueError):
    """Raised when a configuration is wrong; nothing has been started."""


@contextmanager
def config_errors(prefix: str = "") -> Iterator[None]:
    """Raises ``ValueError``, ``TypeError`` and ``OSError`` of a block as ``ConfigError``.

    Their messages come after ``prefix``.
    """
    try:
        yield
    except (TypeError, ValueError, OSError) as error:
        raise ConfigError(f"{prefix}{error}") from error


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """One saliency method of an evaluation.

    Args:
        name: The method's name in tables and folders.
        method: A name of ``saliency_methods()``.
        options: The method's options.
    """

    name: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)


S = TypeVar("S", bound=MethodSpec)


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Explained images and the methods that explain them.

    Args:
        methods: Names of saliency methods; or name -> ``{method, options}``, both optional:
            ``method`` is the name by default.
        split: The explained images: ``"val"``, ``"test"`` or ``"predict"``. (Training images are
            augmented, and so differ each time.)
        samples: Number of images, evenly spread over the split; ``None``: all.
        checkpoint: Weights for the model, a Lightning checkpoint or a ``state_dict``; ``None``:
            the model keeps the weights that it is constructed with.
        target: The explained class: ``"predicted"`` (each image's top class), ``"label"`` or an
            index.
        seed: Seed of stochastic methods and of the order of equally salient pixels.
        output: Folder of all files.

    Raises:
        ConfigError: Methods, options or names that do not exist, numbers out of range.

    Examples:
        >>> config = EvaluationConfig(methods={"gradcam": {}, "soft": {"method": "smoothgrad"}})
        >>> [(spec.name, spec.method) for spec in config.specs]
        [('gradcam', 'gradcam'), ('soft', 'smoothgrad')]
    """

    reserved: ClassVar[Mapping[str, str]] = {
        "enable_model_summary": "nothing is trained",
        "fast_dev_run": "it writes no files; use samples for a small run",
        "limit_predict_batches": "use samples, which are spread over the data",
    }
    """More arguments of the Trainer that are not left to the user, and why."""

    methods: list[str] | dict[str, Any]
    split: str = "test"
    samples: int | None = None
    checkpoint: str | None = None
    target: TargetSpec = "predicted"
    seed: int = 0
    output: str = "runs/evaluation"

    def __post_init__(self) -> None:
        with config_errors():
            check_choice("split", self.split, SPLITS)
            if self.samples is not None:
                check_int("samples", self.samples, 1)
            check_target(self.target)
            check_int("seed", self.seed)
        from fullgrad_lightning.saliency.registry import saliency_method  # imports torch

        for spec in self.specs:
            with config_errors(f"methods.{spec.name}: "):
                saliency_method(spec.method, **spec.options)

    @property
    def specs(self) -> list[MethodSpec]:
        """The methods, in their order."""
        return parse_methods(self.methods, MethodSpec)


def parse_methods(
    methods: Sequence[str] | Mapping[str, Any],
    kind: type[S],
    *,
    defaults: Mapping[str, Any] | None = None,
    reserved: Collection[str] = (),
) -> list[S]:
    """Parses ``methods:`` of a configuration: names, or a mapping from names to fields of ``kind``.

    Raises:
        ConfigError: No methods, the same name twice, or a name or key that is not allowed.
    """
    if not methods:
        raise ConfigError("methods is empty. Name at least one, such as fullgrad.")
    if not isinstance(methods, Mapping):
        if len(set(methods)) < len(methods):
            raise ConfigError(f"methods must be distinct, got {list(methods)}.")
        methods = dict.fromkeys(methods)
    return [
        _parse_method(name, {} if entry is None else entry, kind, defaults or {}, reserved)
        for name, entry in methods.items()
    ]


def check_trainer_arguments(names: Collection[str], reserved: Mapping[str, str]) -> None:
    """Checks that no argument of the Trainer is reserved, here or for every evaluation.

    Raises:
        ConfigError: One of them is reserved.
    """
    for name, reason in {**_RESERVED, **reserved}.items():
        if name in names:
            raise ConfigError(f"trainer.{name} cannot be set: {reason}.")


def _parse_method(
    name: object,
    entry: object,
    kind: type[S],
    defaults: Mapping[str, Any],
    reserved: Collection[str],
) -> S:
    if not isinstance(name, str) or not SAFE_NAME.fullmatch(name) or name in reserved:
        taken = f", and not {' or '.join(map(repr, reserved))}" if reserved else ""
        raise ConfigError(
            f"methods: {name!r} is not a valid name. Use letters, digits and single _, - or + "
            f"between them{taken}."
        )
    keys = [option.name for option in fields(kind) if option.name != "name"]
    if not isinstance(entry, Mapping):
        raise ConfigError(f"methods.{name} must be a mapping of {', '.join(keys)}, got {entry!r}.")
    if unknown := [key for key in entry if key not in keys]:
        raise ConfigError(
            f"methods.{name} has no key {unknown[0]!r}. Its keys: {', '.join(keys)}; the method's "
            "own options belong under options."
        )
    options = entry.get("options") or {}
    if not isinstance(options, Mapping):
        raise ConfigError(f"methods.{name}.options must be a mapping, got {options!r}.")
    values = {"method": name, **defaults, **entry, "options": dict(options)}
    with config_errors():
        return kind(name=name, **values)
