"""A study from a command line and YAML files, and the objects that they name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, NoReturn, TypeVar
from urllib.error import URLError

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning.cli import LightningArgumentParser
from torch import nn

# Imported so that classes are found by name alone, as `fullgrad fit` finds them.
from fullgrad_lightning import callbacks, datamodules, models  # noqa: F401
from fullgrad_lightning.evaluation.class_errors import shorten_class_error
from fullgrad_lightning.evaluation.config import ConfigError, EvaluationConfig
from fullgrad_lightning.models.checkpoints import load_weights

S = TypeVar("S", bound=EvaluationConfig)
# What a study sets itself, and why.
_OWNED = {
    "logger": "a study writes its report to output",
    "default_root_dir": "a study has its output",
    "enable_checkpointing": "nothing is trained",
    "enable_model_summary": "nothing is trained",
    "fast_dev_run": "it leaves no files; use samples for a small study",
    "limit_predict_batches": "use samples, which are spread over the data",
}


@dataclass(frozen=True)
class Components(Generic[S]):
    """What a study works with.

    Args:
        study: What was asked.
        model: Takes images (N, C, H, W); with the weights that its arguments say.
        data: Not yet set up.
        trainer: Arguments of a Trainer.
    """

    study: S
    model: nn.Module
    data: pl.LightningDataModule
    trainer: dict[str, Any]


def parse_study(kind: type[S], arguments: Sequence[str], command: str) -> Components[S]:
    """Reads ``--config FILE``, ``--model``, ``--data``, ``--trainer.…`` and the options of a study.

    Args:
        kind: The study; its fields are the options. Lists may be given as words:
            ``--methods fullgrad gradcam``.
        arguments: Those after the command.
        command: Its name, for messages.

    Raises:
        SystemExit: After ``--help``, and for arguments that cannot be read (2).
        ConfigError: What is wrong with the study, its model, data or checkpoint.
    """
    parser = _Parser(
        prog=f"fullgrad {command}",
        usage=f"fullgrad {command} --model NAME --data NAME --methods NAME … [--OPTION VALUE …]",
        description=_first_line(kind),
    )
    parser.add_argument("-c", "--config", action="config", help="a YAML file; later ones win")
    parser.add_class_arguments(kind)
    parser.add_subclass_arguments(nn.Module, "model", required=True)
    parser.add_subclass_arguments(pl.LightningDataModule, "data", required=True)
    parser.add_lightning_class_args(pl.Trainer, "trainer")
    lists = {field.name for field in fields(kind) if "list[" in str(field.type)}
    values = parser.parse_args(_joined(arguments, lists))
    asked = values.as_dict()
    study = kind(**{field.name: asked[field.name] for field in fields(kind)})  # before a download
    usual = parser.get_defaults().trainer
    given = {key for key, value in values.trainer.items() if value != usual[key]}
    for name, reason in _OWNED.items():
        if name in given:
            raise ConfigError(f"trainer.{name} cannot be set: {reason}.")
    torch.manual_seed(study.seed)  # weights that nothing loads are the same in every process
    try:
        made = parser.instantiate_classes(values)
    except (ValueError, TypeError, OSError) as error:
        # jsonargparse tells of all that it tried; the cause is what the class said.
        cause = error.__cause__ or error
        text = f"a download failed ({cause})" if isinstance(cause, URLError) else str(cause)
        raise ConfigError(text) from error
    try:
        if study.checkpoint is not None:
            load_weights(made.model, study.checkpoint)
        elif not _has_weights(values.model):
            rank_zero_warn(
                f"No --checkpoint: {type(made.model).__name__} is explained with the weights that "
                "it has when it is made, which are random unless its class loads some."
            )
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error
    return Components(
        study, made.model, made.data, {key: made.trainer[key] for key in sorted(given)}
    )


class _Parser(LightningArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        super().error(shorten_class_error(message), ex)


def _has_weights(model: Any) -> bool:
    """Whether an argument of the model says where its weights come from."""
    given = model.as_dict().get("init_args") or {}
    return any("weights" in name and value is not None for name, value in given.items())


def _joined(arguments: Sequence[str], lists: Collection[str]) -> list[str]:
    """``--methods a b`` as ``--methods=[a, b]``, and so of all options that are lists."""
    result: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        name = word.removeprefix("--")
        found: list[str] = []
        while word.startswith("--") and name in lists and words and not words[0].startswith("-"):
            found.append(words.pop(0))
        if len(found) == 1 and found[0][0] in "[{":
            result += [word, *found]
        else:
            result.append(f"{word}=[{', '.join(found)}]" if found else word)
    return result


def _first_line(kind: type[EvaluationConfig]) -> str:
    return (kind.__doc__ or "").splitlines()[0]
