"""ImageClassifier: a LightningModule that trains any classifier of images."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassAccuracy

from fullgrad_lightning.models.factory import build_model
from fullgrad_lightning.models.optimizers import (
    OptimizerName,
    ScheduleName,
    build_optimizer,
    build_schedule,
    check_optimization,
)
from fullgrad_lightning.utilities.samples import require_images, require_images_and_labels


class ImageClassifier(pl.LightningModule):
    """Trains a network of torchvision, or ``vgg9``, by cross-entropy.

    Batches are ``(images, labels, …)``, or dicts, named tuples or dataclasses with entries such as
    ``image`` and ``label``; images (N, C, H, W), labels (N,) int64.

    | logged | when | what |
    |---|---|---|
    | ``train/loss`` | each step | cross-entropy, with ``label_smoothing`` |
    | ``val/loss``, ``test/loss`` | each epoch | cross-entropy, not smoothed |
    | ``val/accuracy``, ``test/accuracy`` | each epoch | share of correct predictions, 0…1 |

    Args:
        model: ``"vgg9"`` or the name of a torchvision classifier, as ``"resnet18"``.
        num_classes: K.
        in_channels: C; other than 3, torchvision's first convolution is replaced.
        weights: A name of torchvision's weights, as ``"DEFAULT"``; ``None``: random. Loading a
            checkpoint does not need them.
        model_options: Options of the network, as ``{"width": 16}`` for vgg9.
        optimizer: ``"sgd"`` (Nesterov's momentum) or ``"adamw"``.
        lr: The highest learning rate.
        momentum: The momentum of SGD, or β₁ of AdamW.
        weight_decay: The weight decay of all parameters.
        schedule: ``"cosine"``, ``"onecycle"`` (both step by step, to the end of the training) or
            ``"none"``.
        label_smoothing: The label smoothing of the training loss, 0…1.

    Raises:
        ValueError: An option that does not exist or is out of range; when training starts, a
            schedule for a training without end.
        TypeError: An option that the network does not have; a batch of another kind.

    Examples:
        >>> import torch
        >>> classifier = ImageClassifier("vgg9", num_classes=10, model_options={"width": 8})
        >>> classifier(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        model: str = "vgg9",
        num_classes: int = 100,
        in_channels: int = 3,
        *,
        weights: str | None = None,
        model_options: dict[str, Any] | None = None,
        optimizer: OptimizerName = "sgd",
        lr: float = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        schedule: ScheduleName = "cosine",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_optimization(optimizer, schedule, lr=lr, momentum=momentum, weight_decay=weight_decay)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be ≥ 0 and < 1, got {label_smoothing!r}.")
        self.save_hyperparameters()
        self.network = build_model(model, num_classes, in_channels, weights, model_options)
        self.accuracies = nn.ModuleDict()  # one for each stage and loader
        for stage in ("val", "test"):
            self._accuracy(f"{stage}_0")

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, K) of images (N, C, H, W)."""
        logits: Tensor = self.network(x)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Returns the loss of a batch."""
        images, labels = require_images_and_labels(batch)
        smoothing: float = self.hparams["label_smoothing"]
        loss = cross_entropy(self(images), labels, label_smoothing=smoothing)
        self.log("train/loss", loss, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Logs ``val/loss`` and ``val/accuracy``."""
        self._evaluate("val", batch, dataloader_idx)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Logs ``test/loss`` and ``test/accuracy``."""
        self._evaluate("test", batch, dataloader_idx)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Returns logits (N, K); a batch may be images alone."""
        logits: Tensor = self(require_images(batch))
        return logits

    def _evaluate(self, stage: str, batch: Any, dataloader_idx: int) -> None:
        images, labels = require_images_and_labels(batch)
        logits = self(images)
        accuracy = self._accuracy(name := f"{stage}_{dataloader_idx}")
        accuracy.update(logits, labels)
        self.log(
            f"{stage}/loss", cross_entropy(logits, labels), batch_size=len(labels),
            on_epoch=True, sync_dist=True, prog_bar=stage == "val",
        )  # fmt: skip
        self.log(
            f"{stage}/accuracy", accuracy, batch_size=len(labels),
            on_epoch=True, prog_bar=stage == "val", metric_attribute=f"accuracies.{name}",
        )  # fmt: skip

    def _accuracy(self, name: str) -> MulticlassAccuracy:
        if name not in self.accuracies:
            new = MulticlassAccuracy(self.hparams["num_classes"], average="micro")
            self.accuracies[name] = new.to(self.device)
        accuracy = self.accuracies[name]
        assert isinstance(accuracy, MulticlassAccuracy)
        return accuracy

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Builds the optimizer and a schedule as long as the training."""
        options = self.hparams
        optimizer = build_optimizer(
            options["optimizer"],
            self.network.parameters(),
            lr=options["lr"],
            momentum=options["momentum"],
            weight_decay=options["weight_decay"],
        )
        if options["schedule"] == "none":
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ValueError(
                f"schedule={options['schedule']!r} needs the length of the training: set "
                'max_epochs or max_steps of the Trainer, or schedule="none".'
            )
        schedule = build_schedule(options["schedule"], optimizer, int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Removes the option ``weights``: loading the checkpoint must not download them again."""
        options = {**checkpoint["hyper_parameters"], "weights": None}
        if getattr(self.network, "transform_input", False):  # torchvision: set by weights alone
            options["model_options"] = {**(options["model_options"] or {}), "transform_input": True}
        checkpoint["hyper_parameters"] = options
