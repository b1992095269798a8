"""``fullgrad fit``, ``validate``, ``test`` and ``predict``: help without torch, and their run."""

from __future__ import annotations

import sys
from typing import Any

from fullgrad_lightning.cli.options import CONFIG, add_help

SUMMARIES = {
    "fit": "train a model, with the callbacks, logger and data that a YAML file names",
    "validate": "run a model over the validation data; a FullGradMonitor draws there too",
    "test": "run a model over the test data",
    "predict": "run a model over images; a BasePredictionWriter callback writes the predictions",
}
_DESCRIPTION = """\
{summary}.

This is the LightningCLI of PyTorch Lightning. Every class is given by its name if it is part of
this package, of torch or of Lightning, or by its full path, such as my_project.models.MyModule.
"""
_EXAMPLES = """\
examples:
  fullgrad {command} --config examples/cifar100_vgg9.yaml{checkpoint}
  fullgrad {command} --config my.yaml{checkpoint} --trainer.accelerator cpu
  fullgrad {command} --model ImageClassifier --model.model resnet18 --model.num_classes 8 \\
      --data ShapesDataModule --trainer.callbacks+=FullGradMonitor{checkpoint_below}

more help, from LightningCLI itself:
  fullgrad {command} --help-all                     all options
  fullgrad {command} --model.help ImageClassifier   the options of a model
  fullgrad {command} --data.help ShapesDataModule   the options of a data module
  fullgrad {command} --trainer.callbacks.help FullGradMonitor
  fullgrad {command} --config my.yaml --print_config  the resulting configuration, as one YAML file
"""
_OPTIONS = (
    CONFIG,
    ("--model", "NAME", "a LightningModule; --model.OPTION VALUE sets its options"),
    ("--data", "NAME", "a LightningDataModule; --data.OPTION VALUE sets its options"),
    ("--trainer.OPTION", "VALUE", "any argument of pytorch_lightning.Trainer"),
    ("--trainer.callbacks+", "NAME", "one more callback, such as FullGradMonitor"),
    ("--optimizer", "NAME", "an optimizer instead of the model's own; also --lr_scheduler"),
    ("--ckpt_path", "FILE", "a checkpoint to resume from, or to load"),
    ("--seed_everything", "SEED", "the seed of all random number generators"),
)


def add_parser(commands: Any) -> None:
    """Adds the help of the four commands."""
    for command, summary in SUMMARIES.items():
        checkpoint = "" if command == "fit" else " --ckpt_path last.ckpt"
        add_help(
            commands,
            command,
            summary=summary,
            usage="[--config FILE] [--OPTION VALUE ...]",
            description=_DESCRIPTION.format(summary=summary[0].upper() + summary[1:]),
            examples=_EXAMPLES.format(
                command=command,
                checkpoint=checkpoint,
                checkpoint_below=checkpoint and f" \\\n     {checkpoint}",
            ),
            options=_OPTIONS,
        )


def run(arguments: list[str]) -> int:
    """Runs ``fullgrad ARGUMENTS``, the first of which is the command.

    Returns:
        0; 2 if files are missing.

    Raises:
        SystemExit: Arguments that LightningCLI refuses, or ``--help`` and ``--print_config``.
    """
    from fullgrad_lightning.cli.lightning_cli import TrainingCLI

    try:
        TrainingCLI(arguments)
    except FileNotFoundError as error:  # of a data set, for example
        print(f"fullgrad {arguments[0]}: {error}", file=sys.stderr)
        return 2
    return 0
