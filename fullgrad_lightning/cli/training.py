"""``fullgrad fit``, ``validate``, ``test`` and ``predict``: Lightning's own command line."""

from __future__ import annotations

from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI

# Imported so that LightningCLI finds their classes by name alone.
from fullgrad_lightning import callbacks, datamodules, models  # noqa: F401


class TrainingCLI(LightningCLI):
    """LightningCLI for any model and data, which knows this package's classes by their names."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        super().__init__(
            save_config_kwargs={"overwrite": True},  # a second run into the same folder may
            parser_kwargs={"prog": "fullgrad"},
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        # Not `args`: Lightning warns of those in a process that has arguments of its own.
        self.config = parser.parse_args(self._arguments)

    def after_instantiate_classes(self) -> None:
        """Compares numbers of classes: "target out of bounds" is all that training would say."""
        has = self.model.hparams.get("num_classes")
        needs = getattr(self.datamodule, "num_classes", None)
        if isinstance(has, int) and isinstance(needs, int) and has < needs:
            self.parser.error(
                f"the model has num_classes={has}, but {type(self.datamodule).__name__} has "
                f"{needs} classes. Add --model.num_classes {needs}."
            )


def train(arguments: list[str]) -> None:
    """Runs ``fullgrad ARGUMENTS``, the first of which is ``fit`` or its like.

    Raises:
        SystemExit: Arguments that LightningCLI does not know, or ``--help`` and ``--print_config``.
    """
    TrainingCLI(arguments)
