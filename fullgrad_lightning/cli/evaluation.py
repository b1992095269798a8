"""``fullgrad perturb`` and ``fullgrad sanity``: help without torch, and their run."""

from __future__ import annotations

import sys
from typing import Any

from fullgrad_lightning.cli.options import CONFIG, Option, add_help, choices, default_of
from fullgrad_lightning.evaluation.config import SPLITS, ConfigError, EvaluationConfig
from fullgrad_lightning.evaluation.perturbation.config import SCORES, PerturbationConfig
from fullgrad_lightning.evaluation.sanity.config import SanityConfig
from fullgrad_lightning.masking.options import FILLS
from fullgrad_lightning.utilities.locks import FolderInUse

COMMANDS = ("perturb", "sanity")
_PERTURB = """\
Pixel perturbation (Srinivas & Fleuret 2019, §5.1): replace the least, and the most, salient pixels
of each image, and measure how much the output of a trained network changes. With --scores also
insertion and deletion (RISE), and ROAD. After a kill, the same command resumes.
"""
_PERTURB_EXAMPLES = """\
examples:
  fullgrad perturb --config examples/perturb_imagenet.yaml --data.data_dir DIR
  fullgrad perturb --model torchvision.models.resnet50 --model.weights DEFAULT \\
      --data ImageFolderDataModule --data.data_dir photos --split predict \\
      --methods fullgrad gradcam input_gradient random
  fullgrad perturb --model ImageClassifier --model.model resnet18 --model.num_classes 8 \\
      --checkpoint last.ckpt --data ShapesDataModule --methods fullgrad random \\
      --scores perturbation insertion_deletion road
"""
_SANITY = """\
Sanity check (Adebayo et al. 2018): re-initialise the layers of a trained network one after the
other, from the output to the input, and compare its saliency maps with the original ones. A method
whose maps stay alike does not explain the network. It runs on one device.
"""
_SANITY_EXAMPLES = """\
examples:
  fullgrad sanity --model torchvision.models.resnet50 --model.weights DEFAULT \\
      --data ImageFolderDataModule --data.data_dir photos --split predict \\
      --methods fullgrad gradcam input_gradient guided_backprop sobel
  fullgrad sanity --model ImageClassifier --model.model resnet18 --model.num_classes 8 \\
      --checkpoint last.ckpt --data ShapesDataModule --methods fullgrad sobel --samples 64
"""
_MORE_HELP = """\

more help:
  fullgrad {command} --help-all                             all options
  fullgrad {command} --data.help ImageFolderDataModule      the options of a data module
"""


def add_parser(commands: Any) -> None:
    """Adds the help of both commands."""
    fractions = default_of(PerturbationConfig, "fractions")
    fills = choices(PerturbationConfig, "fill", FILLS)
    stages, pictures = (default_of(SanityConfig, name) for name in ("stages", "pictures"))
    usage = "--model NAME --data NAME --methods NAME … [--OPTION VALUE ...]"
    add_help(
        commands,
        "perturb",
        summary="evaluate saliency methods without retraining, by replacing pixels",
        usage=usage,
        description=_PERTURB,
        examples=_PERTURB_EXAMPLES + _MORE_HELP.format(command="perturb"),
        options=(
            *_common_options(PerturbationConfig),
            ("--scores", "NAME …", choices(PerturbationConfig, "scores", SCORES)),
            ("--fractions", "F …", f"shares of the pixels (default: {fractions})"),
            ("--fill", "NAME", f"their replacement: {fills}"),
        ),
    )
    add_help(
        commands,
        "sanity",
        summary="compare saliency maps before and after the network's layers are re-initialised",
        usage=usage,
        description=_SANITY,
        examples=_SANITY_EXAMPLES + _MORE_HELP.format(command="sanity"),
        options=(
            *_common_options(SanityConfig),
            ("--stages", "N", f"from the last layer to all; null: one a layer (default: {stages})"),
            ("--pictures", "N", f"number of images whose maps are drawn (default: {pictures})"),
        ),
    )


def run(arguments: list[str]) -> int:
    """Runs ``fullgrad ARGUMENTS``, the first of which is the command, and prints its text.

    Returns:
        0; 2 if the configuration, its data or its folder is wrong.
    """
    from fullgrad_lightning.evaluation.components import parse_evaluation
    from fullgrad_lightning.evaluation.perturbation.run import run_benchmark
    from fullgrad_lightning.evaluation.sanity.run import run_check
    from fullgrad_lightning.stores.base import StoreError

    command, *options = arguments
    try:
        if command == "perturb":
            text = run_benchmark(*parse_evaluation(PerturbationConfig, options, command))
        else:
            text = run_check(*parse_evaluation(SanityConfig, options, command))
    except (ConfigError, StoreError, FolderInUse) as error:
        print(f"fullgrad {command}: {error}", file=sys.stderr)
        return 2
    if text:  # empty in all processes but the first
        print(f"\n{text}")
    return 0


def _common_options(kind: type[EvaluationConfig]) -> tuple[Option, ...]:
    """The options of both commands, with a command's defaults."""
    samples, targets = default_of(kind, "samples"), ("predicted", "label")
    return (
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
