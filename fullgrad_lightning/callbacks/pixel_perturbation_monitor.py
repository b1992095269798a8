"""PixelPerturbationMonitor: how much logits change when unimportant pixels are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.validation_monitor import CHUNK_SIZE, ValidationMonitor
from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.metrics import PixelPerturbation
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.normalization import Normalization


class PixelPerturbationMonitor(ValidationMonitor["_Run"]):
    """Logs the relative change of the top class's logit when a few pixels are replaced.

    The paper's pixel perturbation (§5.1), |f(x′) − f(x)| / |f(x)|, at every validation: with the
    least salient pixels first, it is small for maps that rank unimportant pixels last. Training
    ends in bit-identical weights, optimizer states and random numbers with and without it.

    | key | meaning |
    |---|---|
    | ``perturbation/<fraction>`` | mean relative change with that fraction replaced, ≥ 0 |
    | ``perturbation/auc`` | area under them from fraction 0 on, divided by the last fraction |

    Means are over the first ``num_samples`` positions of the data set, in all processes. Samples
    with a logit of 0, or with a map that is not finite, are left out; a number that is NaN is not
    logged. In ``trainer.test`` keys begin with ``perturbation_test``. With several loaders they end
    as Lightning's own do, ``/dataloader_idx_0``. ``PixelPerturbation`` is the metric by itself.

    Args:
        fractions: Shares of the pixels, 0…1, in ascending order.
        method: The saliency method, by name.
        method_options: Options of the method, see ``saliency_method``.
        num_samples: Number of samples whose pixels are replaced.
        every_n_epochs: Interval of the epochs whose validations are processed, the first included.
        order: Whether the least or the most salient pixels are replaced first.
        fill: The values that replace them.
        mean, std: Normalisation of the images, one value for each channel, so that black is 0
            before it; default: ``mean`` and ``std`` of the DataModule, else images count as not
            normalised.
        seed: Seed of the order of equally salient pixels, and of the noise of ``noisy_linear``.
        batch_size: The largest number of images that the network gets at once.
        dataloader_idx: Index of the validation loader, if there are several.

    Raises:
        ValueError: An option out of range; in ``setup``, a strategy that shards the network, or two
            of these monitors of one loader; when validation starts, a loader that does not exist.
        TypeError: A batch without images, an output without logits; see ``batch_to_input`` and
            ``output_to_logits``.

    Examples:
        >>> monitor = PixelPerturbationMonitor((0.05, 0.1), method="gradcam", num_samples=16)
        >>> trainer = pl.Trainer(callbacks=[monitor], logger=False, accelerator="cpu")
    """

    prefix = "perturbation"
    remedy_for_two = "Use one; to compare methods, use the PixelPerturbation metric."

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
        super().__init__(every_n_epochs, dataloader_idx)
        check_int("num_samples", num_samples, 1)
        self.method = saliency_method(method, **(method_options or {}))
        self.num_samples, self.seed = num_samples, seed
        self._normalization = Normalization.of(mean, std)
        self._options: dict[str, Any] = {
            "fractions": fractions, "order": order, "seed": seed, "batch_size": batch_size,
        }  # fmt: skip
        # The fill "mean" may get its mean from the DataModule, which setup reads.
        waits = fill == "mean" and self._normalization is None
        PixelPerturbation(**self._options, fill="black" if waits else fill, mean=mean, std=std)
        self._options["fill"] = fill

    @property
    def state_key(self) -> str:
        """Identifies this monitor among others of its class in one Trainer."""
        return self._generate_state_key(
            method=repr(self.method), dataloader_idx=self.dataloader_idx
        )

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Checks the strategy, the other callbacks, and the options with the DataModule's."""
        super().setup(trainer, pl_module, stage)
        if stage != "predict":
            self._create_metric(trainer)

    def start_run(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> _Run:
        """Creates the metric of one validation or test, on the network's device."""
        metric = self._create_metric(trainer).to(pl_module.device)
        return _Run(metric, self.bind_logits(pl_module))

    def update_run(
        self, run: _Run, batch: Any, images: Tensor, positions: Sequence[int | None], *, last: bool
    ) -> None:
        """Explains the images at the first positions, and replaces their pixels."""
        rows = [i for i, p in enumerate(positions) if p is not None and p < self.num_samples]
        if not rows:
            return
        images, ids = images[rows], torch.tensor([positions[i] for i in rows])
        chunks = zip(images.split(CHUNK_SIZE), ids.split(CHUNK_SIZE), strict=True)
        maps = torch.cat([self.method(run.network, x, sample_ids=i).cpu() for x, i in chunks])
        finite = maps.isfinite().flatten(1).all(1)
        run.metric.update(
            run.network,
            images[finite.to(images.device)],
            rank_pixels(maps[finite], ids[finite], seed=self.seed),
            sample_ids=ids[finite],
        )

    def compute_run(self, run: _Run, prefix: str) -> dict[str, Tensor]:
        """Returns the mean changes and the area under them, without those that are NaN."""
        scalars = run.metric.scalars(prefix)
        return {key: value.float() for key, value in scalars.items() if not value.isnan()}

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last_epoch = state_dict["last_epoch"]

    def _create_metric(self, trainer: pl.Trainer) -> PixelPerturbation:
        data = getattr(trainer, "datamodule", None)
        normalization = self._normalization or Normalization.of_datamodule(data)
        mean = std = None
        if normalization is not None:
            mean, std = normalization.mean, normalization.std
        return PixelPerturbation(**self._options, mean=mean, std=std)


@dataclass(frozen=True)
class _Run:
    metric: PixelPerturbation
    network: Model
