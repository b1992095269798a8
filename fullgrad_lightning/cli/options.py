"""Options of commands that jsonargparse parses, for their help; shared parts of the help."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

Option = tuple[str, str, str]
"""Names with ``/`` between them, the name of the value, help."""
CONFIG: Option = ("-c/--config", "FILE", "a YAML file; of several, later ones win")


def add_help(
    commands: Any,
    name: str,
    *,
    summary: str,
    usage: str,
    description: str,
    examples: str,
    options: Iterable[Option],
) -> None:
    """Adds the help of a command that another parser parses."""
    parser = commands.add_parser(
        name,
        help=summary,
        usage=f"fullgrad {name} {usage}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for names, metavar, text in options:
        parser.add_argument(*names.split("/"), metavar=metavar, help=text)


def default_of(kind: type[Any], name: str) -> str:
    """The default of a dataclass' field, as it is written on a command line.

    Examples:
        >>> from fullgrad_lightning.evaluation.sanity.config import SanityConfig
        >>> default_of(SanityConfig, "stages")
        '8'
    """
    (field,) = [field for field in fields(kind) if field.name == name]
    value = field.default if field.default_factory is MISSING else field.default_factory()
    assert value is not MISSING
    if value is None:
        return "null"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def choices(kind: type[Any], name: str, values: Iterable[str]) -> str:
    """All values of a dataclass' field, the default marked."""
    default = default_of(kind, name)
    return ", ".join(f"{value} (default)" if value == default else value for value in values)


def positive_int(text: str) -> int:
    """Parses an integer ≥ 1 of a command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number
