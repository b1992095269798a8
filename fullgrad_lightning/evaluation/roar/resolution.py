"""A grid from its YAML file, its classes and defaults resolved."""

from __future__ import annotations

import re
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser

from fullgrad_lightning.evaluation.components import resolve_components
from fullgrad_lightning.evaluation.config import ConfigError
from fullgrad_lightning.evaluation.roar.config import GridConfig, ResolvedGrid


def load_grid(path: str | Path, *, output: str | Path | None = None) -> ResolvedGrid:
    """Reads the grid of a YAML file and resolves it; the keys are the arguments of ``GridConfig``.

    ``output`` replaces that of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: The grid is wrong.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(GridConfig)
    try:
        values = parser.parse_path(str(path)).as_dict()
    except ArgumentError as error:
        raise ConfigError(f"{path}: {_name_keys(str(error))}") from error
    if output is not None:
        values["output"] = str(output)
    return resolve_grid(GridConfig(**values))


def resolve_grid(grid: GridConfig) -> ResolvedGrid:
    """Writes out full class paths and all defaults, so that they make no other cells.

    Arguments of the Trainer that equal its defaults are left out.

    Raises:
        ConfigError: A class or an argument that does not exist.
    """
    trainer = {"devices": 1, **grid.trainer}
    resolved = resolve_components(grid.data, grid.model, trainer)
    options = {field.name: getattr(grid, field.name) for field in fields(grid)}
    return ResolvedGrid(**{**options, **resolved})


def _name_keys(text: str) -> str:
    """Replaces a message of jsonargparse about an unknown key by one that names those there are."""
    match = re.search(r"""['"](\w+)[^'"]*['"] is not (accepted|expected)""", text)
    if match is None:
        return text
    key, keys = match[1], [field.name for field in fields(GridConfig)]
    near = get_close_matches(key, keys, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no key {key!r}.{hint} There are: {', '.join(keys)}."
