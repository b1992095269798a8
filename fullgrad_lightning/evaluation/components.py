"""The model, data module and Trainer arguments that a command line or YAML file names."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn, TypeVar
from urllib.error import URLError

import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentError, Namespace
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning.cli import LightningArgumentParser
from torch import nn

# Imported so that classes are found by name alone, as `fullgrad fit` finds them.
from fullgrad_lightning import callbacks, datamodules, models  # noqa: F401
from fullgrad_lightning.evaluation.config import (
    ConfigError,
    EvaluationConfig,
    check_trainer_arguments,
    config_errors,
)
from fullgrad_lightning.models.checkpoints import load_weights

C = TypeVar("C", bound=EvaluationConfig)


@dataclass(frozen=True)
class Components:
    """An evaluation's model of images (N, C, H, W), its data, not yet set up, and its Trainer.

    The Trainer is described by the arguments that differ from its defaults.
    """

    model: nn.Module
    data: pl.LightningDataModule
    trainer: dict[str, Any]


def parse_evaluation(kind: type[C], arguments: Sequence[str], command: str) -> tuple[C, Components]:
    """Parses ``--config FILE``, ``--model``, ``--data``, ``--trainer.…`` and a configuration.

    The options are the fields of ``kind``. Lists may be given as words: ``--methods a b``.

    Returns:
        The configuration and its components, the checkpoint loaded into the model.

    Raises:
        SystemExit: After ``--help``, and for arguments that cannot be parsed (2).
        ConfigError: The configuration, its model, data or checkpoint is wrong.
    """
    parser = _Parser(
        prog=f"fullgrad {command}",
        usage=f"fullgrad {command} --model NAME --data NAME --methods NAME … [--OPTION VALUE …]",
        description=(kind.__doc__ or "").splitlines()[0],
    )
    parser.add_argument("-c", "--config", action="config", help="a YAML file; later ones win")
    parser.add_class_arguments(kind)
    parser.add_components(nn.Module)
    lists = {field.name for field in fields(kind) if "list[" in str(field.type)}
    values = parser.parse_args(_join_lists(arguments, lists))
    options = values.as_dict()
    config = kind(**{field.name: options[field.name] for field in fields(kind)})
    check_trainer_arguments(parser.changed_trainer_arguments(values), config.reserved)
    torch.manual_seed(config.seed)  # weights that nothing loads are the same in every process
    components = parser.instantiate_components(values)
    if config.checkpoint is not None:
        with config_errors():
            load_weights(components.model, config.checkpoint)
    elif not _names_weights(values.model):
        rank_zero_warn(
            f"No --checkpoint: {type(components.model).__name__} is explained with its initial "
            "weights, which are random unless its class loads some."
        )
    return config, components


def resolve_components(
    data: Mapping[str, Any], model: Mapping[str, Any], trainer: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes out full class paths and all default arguments of a configuration, in plain values.

    ``data`` and ``model`` are ``{class_path, init_args}``. Arguments of the Trainer that equal its
    defaults are left out.

    Raises:
        ConfigError: A class or an argument that does not exist.
    """
    parser, values = _parse(data, model, trainer)
    # By position: jsonargparse has given the third, which keeps nulls, several names.
    resolved: dict[str, Any] = json.loads(parser.dump(values, "json", False))
    changed = parser.changed_trainer_arguments(values)
    resolved["trainer"] = {key: resolved["trainer"][key] for key in changed}
    return resolved


def instantiate_components(
    data: Mapping[str, Any], model: Mapping[str, Any], trainer: Mapping[str, Any]
) -> Components:
    """Instantiates a configuration. Weights are drawn from the global generator: seed it first.

    Raises:
        ConfigError: A class or an argument that does not exist, or that the class refuses.
    """
    parser, values = _parse(data, model, trainer)
    return parser.instantiate_components(values)


def shorten_class_error(text: str) -> str:
    """Shortens a message of jsonargparse to the line or two about the class that the user named.

    A message that is not about a class stays; others describe all types that were tried.
    """
    match = re.search(
        r"""Parser key "(\w+)".*? class_path ('.*?'):\n(.*?)\n(    - Expected|  Given)""",
        text, re.DOTALL,
    )  # fmt: skip
    if match is not None:
        text = f"{match[1]}.class_path {match[2]}: {textwrap.dedent(match[3])}"
    hint = "\nIs the folder of that module on PYTHONPATH?" if "No module named" in text else ""
    if match is not None and "is not accepted" in text:
        hint = f"\nIts arguments: fullgrad fit --{match[1]}.help {match[2].strip(chr(39))}"
    return text + hint


class _Parser(LightningArgumentParser):
    """Parses components of any class: parameters without a type are accepted."""

    def add_components(self, model_type: type[nn.Module]) -> None:
        for kind, key in ((pl.LightningDataModule, "data"), (model_type, "model")):
            self.add_subclass_arguments(kind, key, required=True, fail_untyped=False)
        self.add_lightning_class_args(pl.Trainer, "trainer")

    def changed_trainer_arguments(self, values: Namespace) -> list[str]:
        """The names of those that differ from the Trainer's defaults."""
        defaults = self.get_defaults().trainer
        return [key for key, value in values.trainer.items() if value != defaults[key]]

    def instantiate_components(self, values: Namespace) -> Components:
        try:
            made = self.instantiate_classes(values)
        except (ValueError, TypeError, OSError) as error:
            # The message of jsonargparse lists all that it tried; the cause is the class's own.
            cause = error.__cause__ or error
            text = f"a download failed ({cause})" if isinstance(cause, URLError) else str(cause)
            raise ConfigError(text) from error
        trainer = {key: made.trainer[key] for key in self.changed_trainer_arguments(values)}
        return Components(made.model, made.data, trainer)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        super().error(shorten_class_error(message), ex)


def _parse(
    data: Mapping[str, Any], model: Mapping[str, Any], trainer: Mapping[str, Any]
) -> tuple[_Parser, Namespace]:
    parser = _Parser(exit_on_error=False)
    parser.add_components(pl.LightningModule)
    values = {"data": dict(data), "model": dict(model), "trainer": dict(trainer)}
    try:
        return parser, parser.parse_object(values)
    except ArgumentError as error:
        raise ConfigError(str(error)) from error


def _names_weights(model: Namespace) -> bool:
    """Returns whether an argument of the model names its weights."""
    arguments = model.as_dict().get("init_args") or {}
    return any("weights" in name and value is not None for name, value in arguments.items())


def _join_lists(arguments: Sequence[str], lists: Collection[str]) -> list[str]:
    """Replaces ``--methods a b`` by ``--methods=[a, b]``, for all options that are lists."""
    result: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        values: list[str] = []
        is_list = word.startswith("--") and word.removeprefix("--") in lists
        while is_list and words and not words[0].startswith("-"):
            values.append(words.pop(0))
        if len(values) == 1 and values[0][0] in "[{":
            result += [word, *values]
        else:
            result.append(f"{word}=[{', '.join(values)}]" if values else word)
    return result
