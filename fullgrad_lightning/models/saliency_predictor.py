"""A LightningModule whose predictions are saliency maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fullgrad_lightning.models.batches import numbered
from fullgrad_lightning.models.checkpoints import load_weights, weights_hash
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.seeds import derive_seed


class SaliencyPredictor(pl.LightningModule):
    """``trainer.predict`` with it explains every image of a ``ROARDataModule``, once.

    Put a ``SaliencyWriter`` beside it: it keeps the maps as ranks. A map is the same in whatever
    batch, process or run it is made, up to rounding; networks are explained in eval mode and
    outside autocast.

    Args:
        model: The network, images (N, C, H, W) to logits (N, K); may be a LightningModule.
        method: The saliency method, by name.
        method_options: Its options, see ``saliency_method``; plain values only.
        target: The class that is explained: ``"predicted"`` (each image's top class),
            ``"label"``, or an index.
        seed: Of methods that draw; see ``sample_ids``.
        checkpoint: Path of weights for ``model``, a Lightning checkpoint or a ``state_dict``;
            ``None``: those it has. Not ``trainer.predict(ckpt_path=…)``, whose weights would come
            too late to be compared with the store's.

    Raises:
        ValueError: An option that does not exist or is out of range; a checkpoint that does not
            fit, or that needs more than plain values to be loaded.
        TypeError: No network; an option that the method does not have or that is no plain value.
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
        target: Literal["predicted", "label"] | int = "predicted",
        seed: int = 0,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be an nn.Module, got {type(model).__name__}.")
        is_index = isinstance(target, int) and not isinstance(target, bool) and target >= 0
        if target not in ("predicted", "label") and not is_index:
            raise ValueError(
                "target must be 'predicted' (the top class of each image), 'label' or a class "
                f"index ≥ 0, got {target!r}."
            )
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
        """All that determines the maps, the data apart; plain values, for a store's manifest."""
        return {
            "method": self.method_name,
            "method_options": self.method_options,
            "target": self.target,
            "seed": self.seed,
            "checkpoint": weights_hash(self.model),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of images (N, C, H, W)."""
        return cast(Tensor, self.model(x))

    def predict_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Explains a batch of a ``ROARDataModule``; see ``explained``."""
        # Not a test for its class: `models` knows no data modules.
        splits = getattr(getattr(self.trainer, "datamodule", None), "splits", None)
        if splits is None:
            raise TypeError(
                "SaliencyPredictor predicts batches that know their rows: call trainer.predict("
                "predictor, datamodule=ROARDataModule(…))."
            )
        return self.explained(batch, splits[dataloader_idx])

    def explained(self, batch: Any, split: str) -> dict[str, Tensor]:
        """Saliency maps of a batch.

        Args:
            batch: Row numbers (N,), and the batch itself: images (N, C, H, W) alone, or with labels
                as ``ImageClassifier`` takes them.
            split: Name of the data that the rows are counted in.

        Returns:
            ``"index"``: the row numbers, (N,) on the CPU. ``"sample_id"``: (N,) on the CPU, from
            which draws for these samples are seeded. ``"saliency"``: (N, 1, H, W) on the device.

        Raises:
            TypeError: A batch of another kind, or without labels that the target needs.
        """
        index, images, target = numbered(batch, self.target)
        ids = sample_ids(split, index.tolist(), self.seed)
        with torch.autocast(images.device.type, enabled=False):
            saliency = self.method(self.model, images, target, sample_ids=ids)
        return {"index": index, "sample_id": ids, "saliency": saliency}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses weights that come after a store was compared with those there were.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "The weights to explain are given as SaliencyPredictor(model, checkpoint=path), not as "
            "trainer.predict(ckpt_path=path): a store of maps tells checkpoints apart before "
            "anything is computed."
        )


def sample_ids(split: str, rows: Sequence[int], seed: int = 0) -> Tensor:
    """A number for each row of a split, (N,) int64, whatever batch or process it is seen in.

    Args:
        split: Name of the data that the rows are counted in.
        rows: N row numbers.
        seed: Another one gives other numbers.

    Examples:
        >>> bool((sample_ids("train", [3, 4]) == sample_ids("test", [3, 4])).any())
        False
    """
    return torch.tensor([derive_seed(f"{seed}/{split}/{row}") for row in rows])


def _plain_options(method: Any) -> dict[str, Any]:
    """All options of a method, defaults too, as JSON gives them back."""
    options = asdict(method)
    try:
        plain: dict[str, Any] = json.loads(json.dumps(options))
    except TypeError as error:
        raise TypeError(
            "method_options must be plain values (numbers, strings, lists, dicts), so that a store "
            f"of maps can tell what it was made with: {error}. Got {options}."
        ) from error
    return plain
