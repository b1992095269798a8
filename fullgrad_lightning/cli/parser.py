"""What ``fullgrad`` understands, and its help. Imports nothing that is slow to import."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import fullgrad_lightning

Told = tuple[tuple[str, ...], str, str]  # names, the value's name, help
TRAINING = {
    "fit": "train a model, with whatever callbacks, logger and data a YAML file names",
    "validate": "run a model over the validation data; a FullGradMonitor draws there too",
    "test": "run a model over the test data",
    "predict": "run a model over images; a BasePredictionWriter callback keeps its answers",
}
ROAR = "judge saliency methods: remove what they point at, train again (remove and retrain)"
STUDIES = {
    "perturb": "judge saliency methods without retraining: replace pixels, see what changes",
    "sanity": "see whether saliency maps change when the network forgets what it has learnt",
}
COMMANDS = {
    "demo": "watch a small network learn where to look, and judge it, in a minute or two",
    **TRAINING,
    **STUDIES,
    "roar": ROAR,
}

_TRAINING_DESCRIPTION = """\
{summary}.

This is the LightningCLI of PyTorch Lightning. Every class is given by its name if it is one of this
package, of torch or of Lightning, or by its full path, such as my_project.models.MyModule.
"""

_TRAINING_EXAMPLES = """\
examples:
  fullgrad {command} --config examples/cifar100_vgg9.yaml{checkpoint}
  fullgrad {command} --config my.yaml{checkpoint} --trainer.accelerator cpu
  fullgrad {command} --model ImageClassifier --model.model resnet18 --model.num_classes 8 \\
      --data ShapesDataModule --trainer.callbacks+=FullGradMonitor{checkpoint_below}

more help, from LightningCLI itself:
  fullgrad {command} --help-all                     every option there is
  fullgrad {command} --model.help ImageClassifier   the options of a model
  fullgrad {command} --data.help ShapesDataModule   the options of a data module
  fullgrad {command} --trainer.callbacks.help FullGradMonitor
  fullgrad {command} --config my.yaml --print_config  what would be run, as one YAML file
"""

_ROAR_DESCRIPTION = """\
Remove and retrain (ROAR): a grid of saliency methods x fractions x seeds. Train a reference for
each seed, rank the pixels of all images with each method, and train again, from new random weights,
without the most salient ones. The lower the accuracy, the better a method knew what matters.
"""

_ROAR_EXAMPLES = """\
examples:
  fullgrad roar run --config examples/roar_fashion_mnist.yaml --jobs 2
  fullgrad roar status runs/roar_fashion_mnist
  fullgrad roar report runs/roar_fashion_mnist
"""


_STUDY_OPTIONS: tuple[Told, ...] = (
    (("-c", "--config"), "FILE", "a YAML file; of several, later ones win"),
    (("--model",), "NAME", "a network or LightningModule; --model.OPTION VALUE sets its options"),
    (("--checkpoint",), "FILE", "its weights: a Lightning checkpoint or a state_dict"),
    (("--data",), "NAME", "a LightningDataModule; --data.OPTION VALUE likewise"),
    (("--split",), "NAME", "whose images: val, test (default) or predict"),
    (("--methods",), "NAME …", "saliency methods; in a YAML file with their options"),
    (("--target",), "CLASS", "predicted (default: each image's top class), label or an index"),
)
_PERTURB_OPTIONS: tuple[Told, ...] = (
    (("--samples",), "N", "so many images, evenly spread (default: all)"),
    (("--output",), "DIR", "folder of everything (default: runs/perturb)"),
    (("--trainer.OPTION",), "VALUE", "of pytorch_lightning.Trainer: devices, accelerator, …"),
    (("--scores",), "NAME …", "perturbation (default), insertion_deletion, road"),
    (("--fractions",), "F …", "of the pixels (default: 0.01 0.03 0.05 0.07 0.1)"),
    (("--fill",), "NAME", "what takes their place: black (default), mean, blur, noisy_linear"),
)
_PERTURB_DESCRIPTION = """\
Pixel perturbation (Srinivas & Fleuret 2019, §5.1): replace the least, and the most, salient pixels
of each image, and see how much the answer of a finished network changes. With --scores also
insertion and deletion (RISE), and ROAD. After a kill, the same command goes on where it was.
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

more help:
  fullgrad perturb --help-all                             every option there is
  fullgrad perturb --data.help ImageFolderDataModule      the options of a data module
"""

_SANITY_OPTIONS: tuple[Told, ...] = (
    (("--samples",), "N", "so many images, evenly spread (default: 16)"),
    (("--output",), "DIR", "folder of the report (default: runs/sanity)"),
    (("--trainer.accelerator",), "NAME", "cpu, gpu, mps or auto (default)"),
    (("--stages",), "N", "from the last layer alone to all (default: 8; null: one a layer)"),
    (("--pictures",), "N", "the maps of so many images are drawn (default: 1)"),
    (("--seed",), "SEED", "of the new weights (default: 0)"),
)
_SANITY_DESCRIPTION = """\
Sanity check (Adebayo et al. 2018): re-initialise the layers of a finished network one after the
other, from the output to the input, and compare its saliency maps with the original ones. A method
whose maps stay alike does not explain the network. It runs on one device, on 16 images by default.
"""

_SANITY_EXAMPLES = """\
examples:
  fullgrad sanity --model torchvision.models.resnet50 --model.weights DEFAULT \\
      --data ImageFolderDataModule --data.data_dir photos --split predict \\
      --methods fullgrad gradcam input_gradient guided_backprop sobel
  fullgrad sanity --model ImageClassifier --model.model resnet18 --model.num_classes 8 \\
      --checkpoint last.ckpt --data ShapesDataModule --methods fullgrad sobel --samples 64

more help:
  fullgrad sanity --help-all                              every option there is
  fullgrad sanity --data.help ImageFolderDataModule       the options of a data module
"""


def command_line() -> argparse.ArgumentParser:
    """The parser of the whole command line; it parses ``demo`` and ``roar``, and holds the help of
    the others.
    """
    parser = argparse.ArgumentParser(
        "fullgrad", description="Watch why a network answers as it does, while it learns."
    )
    version = f"fullgrad_lightning {fullgrad_lightning.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands.add_parser("demo", help=COMMANDS["demo"], add_help=True))
    for name, summary in TRAINING.items():
        saved = "" if name == "fit" else " --ckpt_path last.ckpt"
        _add_training(
            commands.add_parser(
                name,
                help=summary,
                usage=f"fullgrad {name} [--config FILE] [--OPTION VALUE ...]",
                description=_TRAINING_DESCRIPTION.format(summary=summary[0].upper() + summary[1:]),
                epilog=_TRAINING_EXAMPLES.format(
                    command=name,
                    checkpoint=saved,
                    checkpoint_below=saved and f" \\\n     {saved}",
                ),
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    for name, description, examples, options in (
        ("perturb", _PERTURB_DESCRIPTION, _PERTURB_EXAMPLES, _PERTURB_OPTIONS),
        ("sanity", _SANITY_DESCRIPTION, _SANITY_EXAMPLES, _SANITY_OPTIONS),
    ):
        study = commands.add_parser(
            name,
            help=STUDIES[name],
            usage=f"fullgrad {name} --model NAME --data NAME --methods NAME … [--OPTION VALUE ...]",
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_told(study, (*_STUDY_OPTIONS, *options))
    _add_roar(commands.add_parser("roar", help=ROAR))
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Trains a small network on images that are drawn as they are needed, with a "
        "FullGradMonitor, and tells what to look at; then asks by ROAR whether it was true."
    )
    parser.add_argument(
        "--output", type=Path, default=Path("fullgrad_demo"), help="folder (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=_positive, help="default: 8; with --fast 2")
    parser.add_argument("--accelerator", default="cpu", help="cpu (default), gpu, mps, auto, …")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--fast", action="store_true", help="a few seconds: too short to learn much"
    )
    parser.add_argument(
        "--no-roar", dest="roar", action="store_false", help="without retraining at the end"
    )


def _add_roar(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = _ROAR_DESCRIPTION, _ROAR_EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser(
        "run",
        help="do what is not done yet of a grid, and report",
        description="Does what is not done yet of a grid, and reports. After a kill, Ctrl-C or a "
        "failure, run the same command: cells go on from the end of their last epoch.",
    )
    run.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="YAML file")
    run.add_argument(
        "--jobs", type=_positive, help="processes at a time (default: one for each GPU, or one)"
    )
    run.add_argument("--output", type=Path, metavar="DIR", help="instead of the file's output")
    for name, summary in (
        ("status", "show what is done, running, failed and waiting"),
        ("report", "draw tables, curves and masked images of what is done"),
    ):
        action = actions.add_parser(name, help=summary, description=summary.capitalize() + ".")
        action.add_argument("folder", type=Path, metavar="DIR", help="output of the grid")


def _add_training(parser: argparse.ArgumentParser) -> None:
    """The options most used. LightningCLI parses them; this is for the help alone."""
    _add_told(parser, (
        (("-c", "--config"), "FILE", "a YAML file; of several, later ones win"),
        (("--model",), "NAME", "a LightningModule; --model.OPTION VALUE sets its options"),
        (("--data",), "NAME", "a LightningDataModule; --data.OPTION VALUE likewise"),
        (("--trainer.OPTION",), "VALUE", "any argument of pytorch_lightning.Trainer"),
        (("--trainer.callbacks+",), "NAME", "one more callback, such as FullGradMonitor"),
        (("--optimizer",), "NAME", "an optimizer instead of the model's own; and --lr_scheduler"),
        (("--ckpt_path",), "FILE", "a checkpoint to go on from, or to load"),
        (("--seed_everything",), "SEED", "for all random number generators"),
    ))  # fmt: skip


def _add_told(parser: argparse.ArgumentParser, options: Sequence[Told]) -> None:
    """Options that another parser reads."""
    for names, metavar, text in options:
        parser.add_argument(*names, metavar=metavar, help=text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number
