"""The LightningCLI of ``fullgrad fit``, ``validate``, ``test`` and ``predict``."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI, _InstantiatorFn

# Imported so that LightningCLI finds their classes by name alone.
from fullgrad_lightning import callbacks, datamodules, models  # noqa: F401


class TrainingCLI(LightningCLI):
    """LightningCLI for any model and data; finds classes of this package by their names."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        super().__init__(
            # A second run may overwrite the config saved in the same folder.
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"prog": "fullgrad"},
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        # Not `args`: Lightning warns about them if the process has arguments of its own.
        self.config = parser.parse_args(self._arguments)

    def _add_instantiators(self) -> None:
        # Private, and the only place where Lightning passes hyperparameters to a module.
        for key, kind in (("model", pl.LightningModule), ("data", pl.LightningDataModule)):
            self.parser.add_instantiator(_Outermost(self, key), kind, subclasses=True)

    def after_instantiate_classes(self) -> None:
        """Compares numbers of classes: training would fail with "target out of bounds" alone."""
        model_classes = self.model.hparams.get("num_classes")
        data_classes = getattr(self.datamodule, "num_classes", None)
        if not (isinstance(model_classes, int) and isinstance(data_classes, int)):
            return
        if model_classes < data_classes:
            self.parser.error(
                f"the model has num_classes={model_classes}, but {type(self.datamodule).__name__} "
                f"has {data_classes} classes. Add --model.num_classes {data_classes}."
            )


class _Outermost(_InstantiatorFn):
    """Passes the YAML's arguments to the model as its hyperparameters, not to modules inside it.

    Lightning passes them to both: the network of a ``SaliencyPredictor`` would save those of the
    predictor.
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
