"""``fullgrad perturb``: pixel perturbation, insertion and deletion, ROAD."""

from __future__ import annotations

from typing import Any

from fullgrad_lightning.cli.evaluation import add_evaluation_help, run_evaluation
from fullgrad_lightning.cli.options import choices, default_of
from fullgrad_lightning.evaluation.perturbation.config import SCORES, PerturbationConfig
from fullgrad_lightning.masking.options import FILLS

_DESCRIPTION = """\
Pixel perturbation (Srinivas & Fleuret 2019, §5.1): replace the least, and the most, salient pixels
of each image, and measure how much the output of a trained network changes. With --scores also
insertion and deletion (RISE), and ROAD. After a kill, the same command resumes.
"""
_EXAMPLES = """\
examples:
  fullgrad perturb --config examples/perturb_imagenet.yaml --data.data_dir DIR
  fullgrad perturb --model torchvision.models.resnet50 --model.weights DEFAULT \\
      --data ImageFolderDataModule --data.data_dir photos --split predict \\
      --methods fullgrad gradcam input_gradient random
  fullgrad perturb --model ImageClassifier --model.model resnet18 --model.num_classes 8 \\
      --checkpoint last.ckpt --data ShapesDataModule --methods fullgrad random \\
      --scores perturbation insertion_deletion road
"""


def add_parser(commands: Any) -> None:
    """Adds the help of the command."""
    fractions = default_of(PerturbationConfig, "fractions")
    fills = choices(PerturbationConfig, "fill", FILLS)
    add_evaluation_help(
        commands,
        "perturb",
        PerturbationConfig,
        summary="evaluate saliency methods without retraining, by replacing pixels",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
        options=(
            ("--scores", "NAME …", choices(PerturbationConfig, "scores", SCORES)),
            ("--fractions", "F …", f"shares of the pixels (default: {fractions})"),
            (
                "--fill",
                "NAME",
                f"their replacement: {fills}",
            ),
        ),
    )


def run(arguments: list[str]) -> int:
    """Runs ``fullgrad ARGUMENTS``; see ``run_evaluation``."""
    from fullgrad_lightning.evaluation.perturbation.run import run_benchmark

    return run_evaluation(PerturbationConfig, run_benchmark, arguments)
