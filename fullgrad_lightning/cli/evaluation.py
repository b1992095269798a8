"""The common part of ``fullgrad perturb`` and ``fullgrad sanity``: options, and the run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fullgrad_lightning.cli.options import CONFIG, Option, add_help, choices, default_of
from fullgrad_lightning.evaluation.config import SPLITS, EvaluationConfig

if TYPE_CHECKING:
    from fullgrad_lightning.evaluation.components import Components

C = TypeVar("C", bound=EvaluationConfig)


def add_evaluation_help(
    commands: Any,
    name: str,
    kind: type[EvaluationConfig],
    *,
    summary: str,
    description: str,
    examples: str,
    options: Iterable[Option],
) -> None:
    """Adds the help of an evaluation.

    Args:
        commands: The action that ``add_subparsers`` returns.
        name: The command.
        kind: The command's configuration, for the defaults.
        summary, description, examples: Parts of the help.
        options: The options of this command alone.
    """
    samples, targets = default_of(kind, "samples"), ("predicted", "label")
    common = (
        CONFIG,
        ("--model", "NAME", "a network or LightningModule; --model.OPTION VALUE sets its options"),
        ("--checkpoint", "FILE", "its weights: a Lightning checkpoint or a state_dict"),
        ("--data", "NAME", "a LightningDataModule; --data.OPTION VALUE sets its options"),
        ("--split", "NAME", f"the images: {choices(kind, 'split', SPLITS)}"),
        ("--methods", "NAME …", "saliency methods; in a YAML file with their options"),
        ("--target", "CLASS", f"the class: {choices(kind, 'target', targets)} or an index"),
        ("--samples", "N", f"number of images, evenly spread; null: all (default: {samples})"),
        ("--output", "DIR", f"folder of all files (default: {default_of(kind, 'output')})"),
        ("--seed", "SEED", f"seed of all that is drawn (default: {default_of(kind, 'seed')})"),
        ("--trainer.OPTION", "VALUE", "of pytorch_lightning.Trainer: accelerator, devices, …"),
    )
    add_help(
        commands,
        name,
        summary=summary,
        usage="--model NAME --data NAME --methods NAME … [--OPTION VALUE ...]",
        description=description,
        examples=examples + _MORE_HELP.format(command=name),
        options=(*common, *options),
    )


def run_evaluation(
    kind: type[C], work: Callable[[C, Components], str], arguments: Sequence[str]
) -> int:
    """Parses the arguments of an evaluation, runs it and prints its text.

    Args:
        kind: The configuration.
        work: Runs the evaluation and returns the text.
        arguments: The command and its arguments.

    Returns:
        0; 2 if the configuration, its data or its folder is wrong.
    """
    from fullgrad_lightning.evaluation.components import parse_evaluation
    from fullgrad_lightning.evaluation.config import ConfigError
    from fullgrad_lightning.stores.base import StoreError
    from fullgrad_lightning.utilities.locks import FolderInUse

    command, *options = arguments
    try:
        text = work(*parse_evaluation(kind, options, command))
    except (ConfigError, StoreError, FolderInUse) as error:
        print(f"fullgrad {command}: {error}", file=sys.stderr)
        return 2
    if text:  # empty in all processes but the first
        print(f"\n{text}")
    return 0


_MORE_HELP = """\

more help:
  fullgrad {command} --help-all                             all options
  fullgrad {command} --data.help ImageFolderDataModule      the options of a data module
"""
