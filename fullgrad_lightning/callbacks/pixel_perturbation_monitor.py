"""PixelPerturbationMonitor: whether saliency is true, epoch by epoch, in the logger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from fullgrad_lightning.callbacks.base import batches
from fullgrad_lightning.callbacks.base.perturbation_run import Perturbing
from fullgrad_lightning.callbacks.base.trainer_access import (
    check_unsharded,
    loader_suffix,
    log_scalars,
    normalization,
    size_of_watched,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.options import loader_option
from fullgrad_lightning.callbacks.fullgrad_monitor.state import is_due
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.metrics import PixelPerturbation
from fullgrad_lightning.saliency.base import positive_integer
from fullgrad_lightning.saliency.registry import saliency_method


class PixelPerturbationMonitor(pl.Callback):
    """Logs how much the top class's logit changes when a few pixels are replaced.

    The paper's pixel perturbation (§5.1), |f(x′) − f(x)| / |f(x)|, at every validation: with the
    least salient pixels first, maps that tell what is unimportant keep it small. Training ends in
    bit-identical weights, optimizer states and random numbers with and without it.

    | key | meaning |
    |---|---|
    | ``perturbation/<fraction>`` | mean relative change with that fraction replaced, ≥ 0 |
    | ``perturbation/auc`` | area under them from fraction 0 on, divided by the last fraction |

    Means go over the first ``num_samples`` positions of the data set, of all processes. Samples
    with a logit of 0, or with a map that is not finite, are left out; a number that is NaN is not
    logged. In ``trainer.test`` keys begin with ``perturbation_test``. With several loaders they end
    as Lightning's own do, ``/dataloader_idx_0``. ``PixelPerturbation`` is the metric by itself.

    Args:
        fractions: Shares of the pixels, 0…1, in ascending order.
        method: The saliency method, by name.
        method_options: Its options, see ``saliency_method``.
        num_samples: How many samples are looked at.
        every_n_epochs: Looks at the validations of every n-th epoch, the first included.
        order: Which pixels are replaced first.
        fill: What is put in their place.
        mean, std: Of the normalisation, one value for each channel, so that black is 0 before it;
            default: ``mean`` and ``std`` of the DataModule, else images count as not normalised.
        seed: Of the order of pixels that are equally salient, and of ``noisy_linear``'s noise.
        batch_size: The most images that the network gets at once.
        dataloader_idx: Which of several validation loaders.

    Raises:
        ValueError: An option out of range; in ``setup``, a strategy that shards the network, or two
            of these monitors of one loader; when validation starts, a loader that does not exist.
        TypeError: A batch without images, an output without logits; see ``batch_to_input`` and
            ``output_to_logits``.

    Examples:
        >>> monitor = PixelPerturbationMonitor((0.05, 0.1), method="gradcam", num_samples=16)
        >>> trainer = pl.Trainer(callbacks=[monitor], logger=False, accelerator="cpu")
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.01, 0.05, 0.1),
        *,
        method: str = "fullgrad",
        method_options: dict[str, Any] | None = None,
        num_samples: int = 32,
        every_n_epochs: int = 1,
        order: Order = "least_salient",
        fill: Fill = "black",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        batch_size: int = 64,
        dataloader_idx: int = 0,
    ) -> None:
        positive_integer("num_samples", num_samples)
        positive_integer("every_n_epochs", every_n_epochs)
        loader_option(dataloader_idx)
        self.method = saliency_method(method, **(method_options or {}))
        self.num_samples, self.every_n_epochs = num_samples, every_n_epochs
        self.dataloader_idx = dataloader_idx
        self._normalised = mean, std
        self._options: dict[str, Any] = {
            "fractions": fractions, "order": order, "seed": seed, "batch_size": batch_size,
        }  # fmt: skip
        # The fill "mean" may get its mean from the DataModule, which is not known yet.
        waits = fill == "mean" and mean is None and std is None
        PixelPerturbation(**self._options, fill="black" if waits else fill, mean=mean, std=std)
        self._options["fill"] = fill
        self._last_epoch: int | None = None
        self._perturbing: Perturbing | None = None

    # To be overridden for unusual batches and networks.

    def batch_to_input(self, batch: Any) -> Tensor | None:
        """The images of a batch, (N, C, H, W), normalised as the network gets them."""
        return batches.input_of(batch)

    def output_to_logits(self, output: Any) -> Tensor | None:
        """Logits, (N, K), from what the module's ``forward`` returns; differentiable."""
        return batches.logits_of(output)

    # What Lightning calls.

    @property
    def state_key(self) -> str:
        """Tells several monitors of one Trainer apart."""
        return self._generate_state_key(
            method=repr(self.method), dataloader_idx=self.dataloader_idx
        )

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuses what cannot work, before anything has run."""
        check_unsharded(trainer, self)
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            same = isinstance(other, PixelPerturbationMonitor) and other is not self
            if same and other.dataloader_idx == self.dataloader_idx:
                raise ValueError(
                    "Two PixelPerturbationMonitors on the same validation loader would log under "
                    "the same keys. Use one; to compare methods, use the PixelPerturbation metric."
                )
        if stage != "predict":
            self._metric(trainer)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin(trainer, pl_module, "perturbation")

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
        if self._perturbing is not None and dataloader_idx == self.dataloader_idx:
            self._perturbing.look(trainer, pl_module, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        perturbing, self._perturbing = self._perturbing, None
        if perturbing is None or trainer.sanity_checking:
            return
        suffix = loader_suffix(trainer, self.dataloader_idx)
        log_scalars(pl_module, perturbing.numbers(), suffix)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin(trainer, pl_module, "perturbation_test")

    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._perturbing = None

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self._last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._last_epoch = state_dict["last_epoch"]

    def _metric(self, trainer: pl.Trainer) -> PixelPerturbation:
        mean, std = normalization(trainer, *self._normalised)
        return PixelPerturbation(**self._options, mean=mean, std=std)

    def _begin(self, trainer: pl.Trainer, pl_module: pl.LightningModule, prefix: str) -> None:
        self._perturbing = None
        size = size_of_watched(trainer, self.dataloader_idx, None)
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            if not is_due(self._last_epoch, trainer.current_epoch, self.every_n_epochs):
                return
            self._last_epoch = trainer.current_epoch
        metric = self._metric(trainer).to(pl_module.device)
        seed = self._options["seed"]
        self._perturbing = Perturbing(
            self, metric, self.method, prefix, self.num_samples, seed, size
        )
