"""FullGradMonitor: saliency of the same validation samples, epoch by epoch, in the logger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import pytorch_lightning as pl
from torch import Tensor

from fullgrad_lightning.callbacks.base.trainer_access import dataset_size, num_reachable_samples
from fullgrad_lightning.callbacks.base.validation_monitor import ValidationMonitor
from fullgrad_lightning.callbacks.fullgrad_monitor.explain import MonitorOptions, create_methods
from fullgrad_lightning.callbacks.fullgrad_monitor.figures import MonitorFigures
from fullgrad_lightning.callbacks.fullgrad_monitor.state import MonitorState
from fullgrad_lightning.callbacks.fullgrad_monitor.validation_run import ValidationRun
from fullgrad_lightning.utilities.checks import check_distinct_ints, check_int
from fullgrad_lightning.utilities.describe import describe
from fullgrad_lightning.utilities.indices import first_of_equal_parts
from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.utilities.samples import batch_labels, batch_masks


class FullGradMonitor(ValidationMonitor[ValidationRun]):
    """Logs saliency maps of the same samples at every validation, and measures them.

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

    Residual and shares are means over the first ``residual_samples`` positions of the data set, in
    all processes; the other scalars over the watched samples. The last two need masks in the batch.
    In ``trainer.test`` keys begin with ``fullgrad_test``. With several loaders they end as
    Lightning's own do, ``/dataloader_idx_0``.

    Args:
        num_samples: Number of watched samples, evenly spread over the validation set.
        target: The class that is explained: ``"predicted"``, ``"label"``, or an index.
        method: Name of the saliency method that is measured and filmed.
        method_options: Options of that method, see ``saliency_method``.
        methods: Names of more methods, shown side by side (Figure 3).
        postprocess: ψ of FullGrad and its variants.
        layer_maps: Whether to log the maps of layers.
        every_n_epochs: Interval of the epochs whose validations are explained, the first included.
        indices: Positions in the validation set of the watched samples, in place of
            ``num_samples``.
        residual_samples: Number of samples that are checked for completeness.
        mean, std: Normalisation of the images, one value for each channel, to show them as they
            were before; default: ``mean`` and ``std`` of the DataModule, else each image is scaled
            by its own range.
        class_names: Names of the classes, for titles; default: those of the DataModule, else
            indices.
        tolerance: The largest relative residual that counts as rounding; default 1e-10 in float64,
            1e-3 in float32, 0.1 in half precision.
        on_incomplete: Reaction to larger residuals: ``"warn"`` and name the operations,
            ``"error"``, which names them too, or ``"ignore"``.
        dataloader_idx: Index of the validation loader, if there are several.

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

    prefix = "fullgrad"
    remedy_for_two = "Use one, with methods=[…] to see several methods side by side."

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
        super().__init__(every_n_epochs, dataloader_idx)
        check_int("num_samples", num_samples, 1)
        if indices is not None:
            indices = tuple(indices)
            check_distinct_ints("indices", indices)
        self.options = MonitorOptions(
            methods=create_methods(method, method_options, methods, postprocess),
            target=target,
            layer_maps=layer_maps,
            residual_samples=residual_samples,
            tolerance=tolerance,
            on_incomplete=on_incomplete,
        )
        self.num_samples, self.indices = num_samples, indices
        self.class_names, self.normalization = class_names, Normalization.of(mean, std)
        self._key = {
            "method": method,
            "postprocess": postprocess,
            "target": target,
            "dataloader_idx": dataloader_idx,
        }
        self._states = {"fullgrad": MonitorState(), "fullgrad_test": MonitorState()}
        self._figures: MonitorFigures | None = None

    def batch_to_label(self, batch: Any) -> Tensor | None:
        """Returns class indices of a batch, (N,), if it has any. Override for unusual batches."""
        return batch_labels(batch)

    def batch_to_mask(self, batch: Any) -> Tensor | None:
        """Returns masks of the objects, (N, H, W) or (N, 1, H, W), if the batch has any.

        Override for unusual batches.
        """
        return batch_masks(batch)

    @property
    def state_key(self) -> str:
        """Identifies this monitor among others of its class in one Trainer."""
        return self._generate_state_key(**self._key)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Checks the strategy and the other callbacks; prepares the figures."""
        super().setup(trainer, pl_module, stage)
        self._figures = MonitorFigures.from_trainer(
            trainer, self.normalization, self.class_names, self.dataloader_idx
        )

    def start_run(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> ValidationRun:
        """Creates the state of one validation or test; selects the samples if none are watched."""
        state = self._states[self.run_prefix(trainer)]
        if trainer.sanity_checking:
            positions: Sequence[int] = ()  # its sample is decomposed, and nothing is kept
        elif state.samples is not None:
            positions = state.samples.positions.tolist()
        elif self.indices is not None:
            positions = self.indices
        else:
            # Evenly spread; the first ones if the data set is small or its size is unknown.
            size = num_reachable_samples(trainer, self.dataloader_idx) or 0
            positions = first_of_equal_parts(max(size, self.num_samples), self.num_samples)
        self._check_indices(dataset_size(trainer, self.dataloader_idx))
        network = self.bind_logits(pl_module)
        return ValidationRun(self.options, state, positions, network, trainer, pl_module)

    def update_run(
        self,
        run: ValidationRun,
        batch: Any,
        images: Tensor,
        positions: Sequence[int | None],
        *,
        last: bool,
    ) -> None:
        """Passes images, labels and masks of a batch on; see ``ValidationRun.update``."""
        labels, masks = self.batch_to_label(batch), self.batch_to_mask(batch)
        if labels is None and self.options.target == "label":
            raise TypeError(
                f"target='label' found no class indices (N,) in a batch that is {describe(batch)}. "
                f"Override {type(self).__name__}.batch_to_label(batch), or use target='predicted'."
            )
        run.update(images, labels, masks, positions, last=last)

    def compute_run(self, run: ValidationRun, prefix: str) -> dict[str, Tensor]:
        """Returns the scalars of one validation, ``<prefix>/<name>``."""
        return {f"{prefix}/{name}": value for name, value in run.compute().items()}

    def log_figures(
        self, run: ValidationRun, trainer: pl.Trainer, prefix: str, suffix: str
    ) -> None:
        """Logs the grid of the watched samples and of their layers, in the first process."""
        samples, explanations = run.state.samples, run.explanations
        if self._figures is not None and samples is not None and explanations is not None:
            self._figures.log_explanations(trainer, samples, explanations, prefix, suffix)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._figures is not None and trainer.is_global_zero:
            self._figures.log_film(trainer, self._states["fullgrad"], "fullgrad")

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        super().on_exception(trainer, pl_module, exception)
        if self._figures is not None and trainer.is_global_zero:
            with suppress(OSError):  # the exception matters more
                self._figures.save_film(self._states["fullgrad"])

    def state_dict(self) -> dict[str, Any]:
        return {
            "explained_by": self._explained_by(),
            "chosen_by": self._chosen_by(),
            "watched": {
                prefix: {**state.state_dict(), "last_epoch": self.last_epoch}
                for prefix, state in self._states.items()
            },
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["chosen_by"] != self._chosen_by():
            return  # the checkpoint has other samples
        keep_maps = state_dict["explained_by"] == self._explained_by()
        for prefix, state in state_dict["watched"].items():
            self._states[prefix] = MonitorState.from_state_dict(state, keep_maps=keep_maps)
        self.last_epoch = state_dict["watched"]["fullgrad"]["last_epoch"]

    def _explained_by(self) -> str:
        return repr((next(iter(self.options.methods.values())), self.options.target))

    def _chosen_by(self) -> str:
        return repr(self.num_samples if self.indices is None else list(self.indices))

    def _check_indices(self, size: int | None) -> None:
        if self.indices is not None and size is not None and max(self.indices) >= size:
            raise ValueError(
                f"indices go up to {max(self.indices)}, but the data set has {size} samples."
            )
