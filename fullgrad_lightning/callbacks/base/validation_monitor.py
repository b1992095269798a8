"""Base class of callbacks that explain the network on samples of the validation or test set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import MethodType
from typing import Any, ClassVar, Generic, TypeVar

import pytorch_lightning as pl
from torch import Tensor, nn

from fullgrad_lightning.callbacks.base.trainer_access import (
    check_unsharded,
    dataset_positions,
    dataset_size,
    is_last_batch,
    loader_suffix,
)
from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.describe import describe
from fullgrad_lightning.utilities.samples import batch_images, find_logits

CHUNK_SIZE = 16  # samples that are explained in one pass, which bounds the memory

Run = TypeVar("Run")


class ValidationMonitor(pl.Callback, ABC, Generic[Run]):
    """Explains the network in the validations of every n-th epoch, and logs scalars and figures.

    A subclass sets ``prefix`` and ``remedy_for_two``, and implements ``start_run``, ``update_run``
    and ``compute_run``. A run is its state during one validation or test.
    """

    prefix: ClassVar[str]  # of the logged keys; trainer.test appends "_test" to it
    remedy_for_two: ClassVar[str]  # advice to users who have two monitors of one loader

    def __init__(self, every_n_epochs: int, dataloader_idx: int) -> None:
        check_int("every_n_epochs", every_n_epochs, 1)
        check_int("dataloader_idx", dataloader_idx, 0)
        self.every_n_epochs, self.dataloader_idx = every_n_epochs, dataloader_idx
        self.last_epoch: int | None = None  # the latest epoch whose validations were processed
        self._run: Run | None = None
        self._samples_seen = 0

    # Methods to override for unusual batches and networks.

    def batch_to_input(self, batch: Any) -> Tensor | None:
        """Returns the images of a batch, (N, C, H, W), normalised for the network."""
        return batch_images(batch)

    def output_to_logits(self, output: Any) -> Tensor | None:
        """Returns logits, (N, K), of the output of the module's ``forward``; differentiable."""
        logits = find_logits(output)
        return logits if isinstance(logits, Tensor) else None

    # Methods that subclasses implement.

    @abstractmethod
    def start_run(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Run:
        """Creates the state of one validation or test."""

    @abstractmethod
    def update_run(
        self, run: Run, batch: Any, images: Tensor, positions: Sequence[int | None], *, last: bool
    ) -> None:
        """Processes a batch.

        In Lightning's sanity check this is called once, with the first image of the first batch, so
        that a batch or network that cannot be explained fails before training.

        Args:
            run, batch: The state of the validation, and the batch as the loader returned it.
            images: (N, C, H, W).
            positions: N positions of the images in the data set; ``None`` for repetitions.
            last: True if no batch follows.
        """

    @abstractmethod
    def compute_run(self, run: Run, prefix: str) -> dict[str, Tensor]:
        """Returns the scalars to log, the same in every process, as ``<prefix>/<name>``."""

    def log_figures(self, run: Run, trainer: pl.Trainer, prefix: str, suffix: str) -> None:
        """Logs the figures of a validation, if the monitor draws any."""

    # Lightning's hooks.

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Checks the strategy and the other callbacks of the Trainer."""
        check_unsharded(trainer, self)
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            if other is self or not isinstance(other, ValidationMonitor):
                continue
            if (other.prefix, other.dataloader_idx) == (self.prefix, self.dataloader_idx):
                raise ValueError(
                    f"Two {type(self).__name__}s on the same validation loader would log under "
                    f"the same keys. {self.remedy_for_two}"
                )

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._run, self._samples_seen = None, 0
        dataset_size(trainer, self.dataloader_idx)  # checks that there is such a loader
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            if not self._is_due(trainer.current_epoch):
                return
            self.last_epoch = trainer.current_epoch
        self._run = self.start_run(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # Here, not when the epoch ends: with weight averaging, weights may be swapped back by then.
        if self._run is None or dataloader_idx != self.dataloader_idx:
            return
        images, seen = self._find_images(batch), self._samples_seen
        self._samples_seen += len(images)
        if trainer.sanity_checking:
            if seen == 0:
                self.update_run(self._run, batch, images[:1], [0], last=False)
            return
        size = dataset_size(trainer, dataloader_idx)
        positions = dataset_positions(trainer, seen, len(images), size)
        last = is_last_batch(trainer, batch_idx, dataloader_idx)
        self.update_run(self._run, batch, images, positions, last=last)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        run, self._run = self._run, None
        if run is None or trainer.sanity_checking:
            return
        prefix = self.run_prefix(trainer)
        suffix = loader_suffix(trainer, self.dataloader_idx)
        scalars = {f"{key}{suffix}": v for key, v in self.compute_run(run, prefix).items()}
        pl_module.log_dict(scalars, add_dataloader_idx=False, batch_size=1)
        self.log_figures(run, trainer, prefix, suffix)

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._run = None

    # Helpers of the subclasses.

    def run_prefix(self, trainer: pl.Trainer) -> str:
        """Returns the prefix of the keys in the present validation or test."""
        return f"{self.prefix}_test" if trainer.testing else self.prefix

    def bind_logits(self, network: nn.Module) -> Model:
        """Returns the network as a function of images (N, C, H, W) that returns logits (N, K).

        It is a method bound to the network, so that saliency methods find the network's layers.
        """
        return MethodType(lambda network, images: self._find_logits(network(images)), network)

    def _is_due(self, epoch: int) -> bool:
        # An epoch may have several validations: either all of them are processed or none.
        last = self.last_epoch
        return last is None or epoch == last or epoch - last >= self.every_n_epochs

    def _find_images(self, batch: object) -> Tensor:
        images = self.batch_to_input(batch)
        if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point():
            raise TypeError(
                f"{type(self).__name__} needs floating-point images (N, C, H, W), but "
                f"batch_to_input found {_describe(images)} in a batch that is {describe(batch)}. "
                f"Override {type(self).__name__}.batch_to_input(batch)."
            )
        return images

    def _find_logits(self, output: object) -> Tensor:
        logits = self.output_to_logits(output)
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            raise TypeError(
                f"{type(self).__name__} needs logits (N, K), but output_to_logits found "
                f"{_describe(logits)} in the output of forward, {describe(output)}. Override "
                f"{type(self).__name__}.output_to_logits(output)."
            )
        return logits


def _describe(value: object) -> str:
    return "nothing" if value is None else describe(value)
