"""What every study of a finished network asks for: which methods explain which images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.files import SAFE_NAME

Target = Literal["predicted", "label"] | int
SPLITS = ("val", "test", "predict")


class ConfigError(ValueError):
    """Something is wrong with a study, and nothing of it was started."""


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """One row of the tables.

    Args:
        name: What it is called there.
        method: A name of ``saliency_methods()``.
        options: Of the method.
    """

    name: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is explained, and by which methods.

    Args:
        methods: Names of saliency methods; or name -> ``{method, options}``, both optional:
            ``method`` is the name.
        split: Whose images: ``"val"``, ``"test"`` or ``"predict"``.
        samples: How many of them, evenly spread over the split; ``None``: all.
        checkpoint: Weights for the model, a Lightning checkpoint or a ``state_dict``; ``None``:
            those it has.
        target: The class that is explained: ``"predicted"`` (each image's top class), ``"label"``,
            or an index.
        seed: Of methods that draw, and of the order of pixels that are equally salient.
        output: Folder of everything.

    Raises:
        ConfigError: Methods, options or names that do not exist, numbers out of range.

    Examples:
        >>> study = EvaluationConfig(methods={"gradcam": {}, "soft": {"method": "smoothgrad"}})
        >>> [(entry.name, entry.method) for entry in study.entries]
        [('gradcam', 'gradcam'), ('soft', 'smoothgrad')]
    """

    methods: list[str] | dict[str, Any]
    split: str = "test"
    samples: int | None = None
    checkpoint: str | None = None
    target: Target = "predicted"
    seed: int = 0
    output: str = "runs/study"

    def __post_init__(self) -> None:
        if not self.methods:
            raise ConfigError("methods is empty. Name at least one, such as fullgrad.")
        if self.split not in SPLITS:
            raise ConfigError(
                f"split must be one of {SPLITS}, got {self.split!r}. (Training images are "
                "augmented: they are no fixed images to explain.)"
            )
        if self.samples is not None and not _whole(self.samples, 1):
            raise ConfigError(f"samples must be an integer ≥ 1 or None, got {self.samples!r}.")
        if self.target not in ("predicted", "label") and not _whole(self.target, 0):
            raise ConfigError(
                f'target must be "predicted", "label" or a class index, got {self.target!r}.'
            )
        check_int("seed", self.seed)
        for entry in self.entries:
            _check(entry)

    @property
    def entries(self) -> list[MethodSpec]:
        """The methods, in their order."""
        given: Mapping[str, Any] | Sequence[str] = self.methods
        if not isinstance(given, Mapping):
            if len(set(given)) < len(given):
                raise ConfigError(f"methods must be distinct, got {list(given)}.")
            given = dict.fromkeys(given)
        return [_entry(name, options or {}) for name, options in given.items()]


def _entry(name: str, options: Any) -> MethodSpec:
    if not isinstance(name, str) or not SAFE_NAME.fullmatch(name):
        raise ConfigError(
            f"methods: {name!r} is no name. Use letters, digits and single _, - or + between them."
        )
    known = ("method", "options")
    unknown = sorted(set(options) - set(known)) if isinstance(options, Mapping) else [options]
    if unknown:
        raise ConfigError(
            f"methods.{name} has no key {unknown[0]!r}. It may have {' and '.join(known)}; what "
            "belongs to the method goes under options."
        )
    return MethodSpec(
        name=name, method=options.get("method", name), options=dict(options.get("options") or {})
    )


def _check(entry: MethodSpec) -> None:
    try:
        saliency_method(entry.method, **entry.options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"methods.{entry.name}: {error}") from error


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
