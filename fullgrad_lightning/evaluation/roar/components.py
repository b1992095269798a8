"""A grid from a YAML file, and objects from the classes that it names."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from jsonargparse import ArgumentError, ArgumentParser
from pytorch_lightning.cli import LightningArgumentParser

# Imported so that classes are found by name alone, as `fullgrad fit` finds them.
from fullgrad_lightning import callbacks, datamodules, models  # noqa: F401
from fullgrad_lightning.evaluation.class_errors import shorten_class_error
from fullgrad_lightning.evaluation.roar.config import ConfigError, GridConfig


class Components(NamedTuple):
    """What a process trains or explains with.

    Args:
        data: As the grid names it, not yet set up.
        model: With weights as they were drawn just now.
        trainer: Arguments, callbacks made.
    """

    data: pl.LightningDataModule
    model: pl.LightningModule
    trainer: dict[str, Any]


def load_grid(path: str | Path, *, output: str | Path | None = None) -> GridConfig:
    """The grid of a YAML file, its classes resolved.

    Args:
        path: Keys are the arguments of ``GridConfig``.
        output: Instead of the file's.

    Raises:
        FileNotFoundError: No such file.
        ConfigError: What is wrong with it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(GridConfig)
    try:
        values = parser.parse_path(str(path)).as_dict()
    except ArgumentError as error:
        raise ConfigError(f"{path}: {_without_key(str(error))}") from error
    if output is not None:
        values["output"] = str(output)
    return resolve(GridConfig(**values))


def resolve(grid: GridConfig) -> GridConfig:
    """The same grid with full class paths and all defaults written out.

    Arguments of the Trainer that are what the Trainer takes anyway are left out.

    Raises:
        ConfigError: A class or an argument that does not exist.
    """
    parser = _parser()
    given = {"devices": 1, **grid.trainer}
    try:
        parsed = parser.parse_object({"data": grid.data, "model": grid.model, "trainer": given})
    except ArgumentError as error:
        raise ConfigError(shorten_class_error(str(error))) from error
    # By place: jsonargparse has called the third, whether nulls are left out, by several names.
    values = json.loads(parser.dump(parsed, "json", False))
    plain = LightningArgumentParser()
    plain.add_lightning_class_args(pl.Trainer, "trainer")
    usual = json.loads(plain.dump(plain.get_defaults(), "json", False))
    trainer = {
        key: value for key, value in values["trainer"].items() if value != usual["trainer"][key]
    }
    return replace(grid, data=values["data"], model=values["model"], trainer=trainer)


def as_config(grid: GridConfig) -> dict[str, Any]:
    """The grid as its YAML file would have it, for ``grid.json``."""
    return asdict(grid)


def make(
    data: dict[str, Any], model: dict[str, Any], trainer: dict[str, Any] | None = None
) -> Components:
    """Makes the objects. Weights are drawn from the global generator: seed it before.

    Args:
        data: ``{class_path, init_args}``.
        model: Likewise.
        trainer: Arguments of a Trainer.

    Raises:
        ConfigError: A class or an argument that does not exist.
    """
    parser = _parser()
    given = dict(trainer or {})
    try:
        parsed = parser.parse_object({"data": data, "model": model, "trainer": given})
    except ArgumentError as error:
        raise ConfigError(shorten_class_error(str(error))) from error
    made = parser.instantiate_classes(parsed)
    return Components(made.data, made.model, {key: made.trainer[key] for key in given})


def _without_key(text: str) -> str:
    """Adds which keys there are, and which one was meant, to what jsonargparse says of one."""
    found = re.search(r"""['"](\w+)[^'"]*['"] is not (accepted|expected)""", text)
    if found is None:
        return text
    key, known = found[1], [field.name for field in fields(GridConfig)]
    near = get_close_matches(key, known, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no key {key!r}.{hint} There are: {', '.join(known)}."


def _parser() -> LightningArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(pl.LightningDataModule, "data", subclass_mode=True)
    parser.add_lightning_class_args(pl.LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(pl.Trainer, "trainer")
    return parser
