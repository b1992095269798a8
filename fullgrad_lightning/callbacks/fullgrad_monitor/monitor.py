"""FullGradMonitor: saliency of the same validation samples, epoch by epoch, in the logger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base import batches
from fullgrad_lightning.callbacks.base.trainer_access import (
    check_unsharded,
    loader_suffix,
    log_folder,
    log_scalars,
    num_reachable_samples,
    size_of_watched,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.figures import Pictures
from fullgrad_lightning.callbacks.fullgrad_monitor.options import MonitorOptions
from fullgrad_lightning.callbacks.fullgrad_monitor.state import Watched
from fullgrad_lightning.callbacks.fullgrad_monitor.validation_run import Evaluation


class FullGradMonitor(pl.Callback):
    """Logs what a network looks at, on the same samples at every validation.

    Training ends in bit-identical weights, optimizer states and random numbers with and without
    it. Networks are explained in eval mode and outside autocast.

    | key | meaning |
    |---|---|
    | ``fullgrad/samples`` | image: per sample the input, overlay and map |
    | ``fullgrad/layers`` | image: per sample the maps of its layers (Figure 1 of the paper) |
    | ``fullgrad/film_strip`` | image, when fit ends: samples × validations; also a PNG file |
    | ``fullgrad/residual_mean`` | mean relative residual; rounding is about 1e-7 in float32 |
    | ``fullgrad/residual_max`` | its maximum |
    | ``fullgrad/share_input`` | share of all terms, by size, that the input carries, 0…1 |
    | ``fullgrad/share_<kind>`` | and each kind of bias: parameter, normalization, nonlinearity, … |
    | ``fullgrad/coverage`` | share of Σ biases, by size, that the map shows (FullGrad, variants) |
    | ``fullgrad/drift`` | 1 − Spearman correlation with the sample's previous map, 0…2 |
    | ``fullgrad/pointing_game`` | share of maps whose maximum lies inside the object's mask |
    | ``fullgrad/energy_inside`` | share of the map's positive part inside the mask |

    Residual and shares are means over the first ``residual_samples`` positions of the data set, of
    all processes; the others over the watched samples. The last two need masks in the batch. In
    ``trainer.test`` keys begin with ``fullgrad_test``. With several loaders they end as Lightning's
    own do, ``/dataloader_idx_0``.

    Args:
        num_samples: How many samples are watched, evenly spread over the validation set.
        target: The class that is explained: ``"predicted"``, ``"label"``, or an index.
        method: The saliency method that is measured and filmed, by name.
        method_options: Its options, see ``saliency_method``.
        methods: More methods, shown side by side (Figure 3).
        postprocess: ψ of FullGrad and its variants.
        layer_maps: Whether to log the layers.
        every_n_epochs: Explains the validations of every n-th epoch, the first included.
        indices: Positions in the validation set of the samples to watch, instead.
        residual_samples: How many samples are checked for completeness.
        mean, std: Of each channel, to show inputs as they were before normalisation; default:
            ``mean`` and ``std`` of the DataModule, else each image is scaled by its own range.
        class_names: For titles; default: those of the DataModule, else indices.
        tolerance: The relative residual that is still taken for rounding; default 1e-10 in
            float64, 1e-3 in float32, 0.1 in half precision.
        on_incomplete: What to do beyond: ``"warn"`` and name the operations, ``"error"`` likewise,
            or ``"ignore"``.
        dataloader_idx: Which of several validation loaders.

    Raises:
        ValueError: An option out of range; in ``setup``, a strategy that shards the network, or two
            monitors of one loader; when validation starts, a loader or an index that does not
            exist.
        TypeError: A batch without images, an output without logits; see ``batch_to_input`` and
            ``output_to_logits``.

    Examples:
        >>> monitor = FullGradMonitor(num_samples=4, methods=["gradcam"], every_n_epochs=5)
        >>> trainer = pl.Trainer(callbacks=[monitor], logger=False, accelerator="cpu")
    """

    def __init__(
        self,
        num_samples: int = 8,
        *,
        target: Literal["predicted", "label"] | int = "predicted",
        method: str = "fullgrad",
        method_options: dict[str, Any] | None = None,
        methods: Sequence[str] = (),
        postprocess: str | None = None,
        layer_maps: bool = False,
        every_n_epochs: int = 1,
        indices: Sequence[int] | None = None,
        residual_samples: int = 64,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        class_names: Sequence[str] | None = None,
        tolerance: float | None = None,
        on_incomplete: Literal["warn", "error", "ignore"] = "warn",
        dataloader_idx: int = 0,
    ) -> None:
        self.options = MonitorOptions(
            num_samples=num_samples,
            target=target,
            method=method,
            method_options=method_options,
            methods=methods,
            postprocess=postprocess,
            layer_maps=layer_maps,
            every_n_epochs=every_n_epochs,
            indices=indices,
            residual_samples=residual_samples,
            mean=mean,
            std=std,
            class_names=class_names,
            tolerance=tolerance,
            on_incomplete=on_incomplete,
            dataloader_idx=dataloader_idx,
        )
        self._watched = {"fullgrad": Watched(), "fullgrad_test": Watched()}
        self._evaluation: Evaluation | None = None
        self._pictures: Pictures | None = None

    # To be overridden for unusual batches and networks.

    def batch_to_input(self, batch: Any) -> Tensor | None:
        """The images of a batch, (N, C, H, W), normalised as the network gets them."""
        return batches.input_of(batch)

    def batch_to_label(self, batch: Any) -> Tensor | None:
        """Class indices, (N,), if the batch has some."""
        return batches.label_of(batch)

    def batch_to_mask(self, batch: Any) -> Tensor | None:
        """Masks of the objects, (N, H, W) or (N, 1, H, W), if the batch has some."""
        return batches.mask_of(batch)

    def output_to_logits(self, output: Any) -> Tensor | None:
        """Logits, (N, K), from what the module's ``forward`` returns; differentiable."""
        return batches.logits_of(output)

    # What Lightning calls.

    @property
    def state_key(self) -> str:
        """Tells several monitors of one Trainer apart."""
        options = self.options
        return self._generate_state_key(
            method=options.method,
            postprocess=options.postprocess,
            target=options.target,
            dataloader_idx=options.dataloader_idx,
        )

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuses what cannot work, before anything has run."""
        check_unsharded(trainer, self)
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            if other is not self and isinstance(other, FullGradMonitor):
                self._refuse_same_keys(other)
        self._pictures = Pictures.of(self.options, trainer, log_folder(trainer))

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin(trainer, pl_module, "fullgrad")

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
        if self._evaluation is not None and dataloader_idx == self.options.dataloader_idx:
            self._evaluation.look(trainer, pl_module, batch, batch_idx)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        evaluation, self._evaluation = self._evaluation, None
        if evaluation is None or trainer.sanity_checking:
            return
        scalars = evaluation.finished(trainer, pl_module)
        suffix = loader_suffix(trainer, self.options.dataloader_idx)
        named = {f"{evaluation.prefix}/{name}": value for name, value in scalars.items()}
        log_scalars(pl_module, named, suffix)
        explanation = evaluation.explanation
        if explanation is not None and self._pictures is not None:
            self._pictures.log(trainer, explanation, evaluation.prefix, suffix)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin(trainer, pl_module, "fullgrad_test")

    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._pictures is not None and trainer.is_global_zero:
            watched = self._watched["fullgrad"]
            self._pictures.log_film(trainer, watched, "fullgrad")

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._evaluation = None
        if self._pictures is not None and trainer.is_global_zero:
            with suppress(OSError):  # the exception matters more
                self._pictures.save_film(self._watched["fullgrad"])

    def state_dict(self) -> dict[str, Any]:
        return {
            "explained_by": self._explained_by(),
            "chosen_by": self._chosen_by(),
            "watched": {name: watched.state() for name, watched in self._watched.items()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["chosen_by"] != self._chosen_by():
            return  # others are wanted now
        same = state_dict["explained_by"] == self._explained_by()
        for name, state in state_dict["watched"].items():
            self._watched[name] = Watched.of(state, keep_maps=same)

    def _refuse_same_keys(self, other: FullGradMonitor) -> None:
        if other.options.dataloader_idx == self.options.dataloader_idx:
            raise ValueError(
                "Two FullGradMonitors on the same validation loader would log under the same keys. "
                "Use one, with methods=[…] to see several methods side by side."
            )

    def _chosen_by(self) -> str:
        indices = self.options.indices
        return repr(self.options.num_samples if indices is None else list(indices))

    def _explained_by(self) -> str:
        return repr((self.options.saliency_methods()[self.options.method], self.options.target))

    def _begin(self, trainer: pl.Trainer, pl_module: pl.LightningModule, prefix: str) -> None:
        self._evaluation = None
        options = self.options
        size = size_of_watched(trainer, options.dataloader_idx, options.indices)
        watched = self._watched[prefix]
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            if not watched.is_due(trainer.current_epoch, options.every_n_epochs):
                return
            watched.last_epoch = trainer.current_epoch
        wanted = options.wanted(num_reachable_samples(trainer, options.dataloader_idx))
        device = torch.device(pl_module.device)
        self._evaluation = Evaluation(options, self, watched, prefix, wanted, size, device)
