"""SaliencyPredictor: a LightningModule whose predictions are saliency maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fullgrad_lightning.datamodules.indexed_batches import predicted_split, read_indexed_batch
from fullgrad_lightning.models.checkpoints import load_weights, weights_hash
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.seeds import derive_seed
from fullgrad_lightning.utilities.targets import TargetSpec, check_target


class SaliencyPredictor(pl.LightningModule):
    """Predicts a saliency map for each image of an ``IndexedDataModule``.

    ``trainer.predict(SaliencyPredictor(…), datamodule=ROARDataModule(…))`` explains every image
    once; the callback ``SaliencyWriter`` stores the maps as ranks. A map does not depend on batch,
    process or run, up to rounding; networks are explained in eval mode and outside autocast.

    Args:
        model: The network, images (N, C, H, W) to logits (N, K); may be a LightningModule.
        method: The saliency method, by name.
        method_options: Options of the method, see ``saliency_method``; plain values only.
        target: The class that is explained: ``"predicted"`` (each image's top class),
            ``"label"``, or an index.
        seed: The seed of methods that draw; see ``sample_ids``.
        checkpoint: Path of weights for ``model``, a Lightning checkpoint or a ``state_dict``;
            ``None``: the model as it is. Not ``trainer.predict(ckpt_path=…)``, whose weights would
            be loaded too late to be compared with the store's.

    Raises:
        ValueError: An option that does not exist or is out of range; a checkpoint that does not
            fit, or that needs more than plain values to be loaded.
        TypeError: Not a network; an option that the method does not have, or not a plain value.
        FileNotFoundError: There is no such checkpoint.

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 2))
        >>> predictor = SaliencyPredictor(network, "random")
        >>> rows, images = torch.tensor([5, 7]), torch.rand(2, 1, 8, 8)
        >>> answer = predictor.explained((rows, images), "train")
        >>> answer["index"], answer["saliency"].shape
        (tensor([5, 7]), torch.Size([2, 1, 8, 8]))
    """

    def __init__(
        self,
        model: nn.Module,
        method: str = "fullgrad",
        method_options: dict[str, Any] | None = None,
        *,
        target: TargetSpec = "predicted",
        seed: int = 0,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be an nn.Module, got {type(model).__name__}.")
        check_target(target)
        check_int("seed", seed)
        self.method = saliency_method(method, **(method_options or {}))
        self.method_name = method
        self.method_options = _plain_options(self.method)
        self.target, self.seed = target, seed
        self.model = model
        if checkpoint is not None:
            load_weights(model, checkpoint)

    @property
    def made_from(self) -> dict[str, Any]:
        """Everything that determines the maps except the data, in plain values, for a manifest."""
        return {
            "method": self.method_name,
            "method_options": self.method_options,
            "target": self.target,
            "seed": self.seed,
            "checkpoint": weights_hash(self.model),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, K) of images (N, C, H, W)."""
        return cast(Tensor, self.model(x))

    def predict_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Explains an ``IndexedBatch``; see ``explained``."""
        return self.explained(batch, predicted_split(self.trainer, dataloader_idx))

    def explained(self, batch: Any, split: str) -> dict[str, Tensor]:
        """Returns saliency maps of a batch.

        Args:
            batch: An ``IndexedBatch``: row numbers (N,), and images (N, C, H, W) alone or with
                labels as ``ImageClassifier`` takes them.
            split: Name of the split that the rows are counted in.

        Returns:
            ``"index"``: the row numbers, (N,) on the CPU. ``"sample_id"``: (N,) on the CPU, from
            which draws for these samples are seeded. ``"saliency"``: (N, 1, H, W) on the device.

        Raises:
            TypeError: A batch of another kind, or without labels that the target needs.
        """
        index, images, target = read_indexed_batch(batch, self.target)
        ids = sample_ids(split, index.tolist(), self.seed)
        with torch.autocast(images.device.type, enabled=False):
            saliency = self.method(self.model, images, target, sample_ids=ids)
        return {"index": index, "sample_id": ids, "saliency": saliency}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses weights that are loaded after a store was compared with the previous ones.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "The weights to explain are given as SaliencyPredictor(model, checkpoint=path), not as "
            "trainer.predict(ckpt_path=path): a store of maps is compared with the weights before "
            "anything is computed."
        )


def sample_ids(split: str, rows: Sequence[int], seed: int = 0) -> Tensor:
    """Returns a number for each row of a split, (N,) int64, independent of batch and process.

    Examples:
        >>> bool((sample_ids("train", [3, 4]) == sample_ids("test", [3, 4])).any())
        False
    """
    return torch.tensor([derive_seed(f"{seed}/{split}/{row}") for row in rows])


def _plain_options(method: Any) -> dict[str, Any]:
    """Returns all options of a method, defaults too, as JSON decodes them."""
    options = asdict(method)
    try:
        plain: dict[str, Any] = json.loads(json.dumps(options))
    except TypeError as error:
        raise TypeError(
            "method_options must be plain values (numbers, strings, lists, dicts), for the "
            f"manifest of a store of maps: {error}. Got {options}."
        ) from error
    return plain
