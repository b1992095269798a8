"""``fullgrad sanity``: the model parameter randomisation test."""

from __future__ import annotations

from typing import Any

from fullgrad_lightning.cli.evaluation import add_evaluation_help, run_evaluation
from fullgrad_lightning.cli.options import default_of
from fullgrad_lightning.evaluation.sanity.config import SanityConfig

_DESCRIPTION = """\
Sanity check (Adebayo et al. 2018): re-initialise the layers of a trained network one after the
other, from the output to the input, and compare its saliency maps with the original ones. A method
whose maps stay alike does not explain the network. It runs on one device.
"""
_EXAMPLES = """\
examples:
  fullgrad sanity --model torchvision.models.resnet50 --model.weights DEFAULT \\
      --data ImageFolderDataModule --data.data_dir photos --split predict \\
      --methods fullgrad gradcam input_gradient guided_backprop sobel
  fullgrad sanity --model ImageClassifier --model.model resnet18 --model.num_classes 8 \\
      --checkpoint last.ckpt --data ShapesDataModule --methods fullgrad sobel --samples 64
"""


def add_parser(commands: Any) -> None:
    """Adds the help of the command."""
    stages, pictures = (default_of(SanityConfig, name) for name in ("stages", "pictures"))
    add_evaluation_help(
        commands,
        "sanity",
        SanityConfig,
        summary="compare saliency maps before and after the network's layers are re-initialised",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
        options=(
            ("--stages", "N", f"from the last layer to all; null: one a layer (default: {stages})"),
            ("--pictures", "N", f"number of images whose maps are drawn (default: {pictures})"),
        ),
    )


def run(arguments: list[str]) -> int:
    """Runs ``fullgrad ARGUMENTS``; see ``run_evaluation``."""
    from fullgrad_lightning.evaluation.sanity.run import run_check

    return run_evaluation(SanityConfig, run_check, arguments)
