"""``fullgrad fit``, ``validate``, ``test`` and ``predict``: Lightning's own command line."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI, _InstantiatorFn

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

    def _add_instantiators(self) -> None:
        # Private, and the only place where Lightning hands a module its hyperparameters.
        for key, kind in (("model", pl.LightningModule), ("data", pl.LightningDataModule)):
            self.parser.add_instantiator(_Outermost(self, key), kind, subclasses=True)

    def after_instantiate_classes(self) -> None:
        """Compares numbers of classes: "target out of bounds" is all that training would say."""
        has = self.model.hparams.get("num_classes")
        needs = getattr(self.datamodule, "num_classes", None)
        if isinstance(has, int) and isinstance(needs, int) and has < needs:
            self.parser.error(
                f"the model has num_classes={has}, but {type(self.datamodule).__name__} has "
                f"{needs} classes. Add --model.num_classes {needs}."
            )


class _Outermost(_InstantiatorFn):
    """Hands the YAML's arguments to the model as its hyperparameters, and to no module inside it.

    Lightning hands them to both: the network of a ``SaliencyPredictor`` would save the predictor's.
    """

    def __call__(
        self, class_type: Any, *args: Any, applied_instantiation_links: Any, **kwargs: Any
    ) -> Any:
        self.cli._dump_config()
        path = self.cli.config_dump.get(self.key, {}).get("class_path", class_type.__name__)
        if path.rpartition(".")[2] != class_type.__name__:
            return class_type(*args, **kwargs)
        links = applied_instantiation_links
        return super().__call__(class_type, *args, applied_instantiation_links=links, **kwargs)


def train(arguments: list[str]) -> None:
    """Runs ``fullgrad ARGUMENTS``, the first of which is ``fit`` or its like.

    Raises:
        SystemExit: Arguments that LightningCLI does not know, or ``--help`` and ``--print_config``.
    """
    TrainingCLI(arguments)
