"""``examples.png``: people must see what was removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullgrad_lightning.datamodules.indexed_batches import read_indexed_batch
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.evaluation.reports.image_page import Examples, draw_page, png
from fullgrad_lightning.evaluation.reports.tables import percent
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.files import atomic_write
from fullgrad_lightning.utilities.indices import first_of_equal_parts
from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.visualization import unnormalized

NUMBER = 4
ENDS: dict[Order, str] = {"least_salient": "least", "most_salient": "most"}


def write_examples(
    path: Path,
    data: IndexedSplitDataModule,
    ranks: dict[str, RankStore],
    *,
    fraction: float,
    fill: Fill,
    normalization: Normalization | None,
    seed: int,
) -> None:
    """Draws a few images without their least, and without their most salient pixels.

    Args:
        path: The PNG file.
        data: Whose images, the first of each of ``NUMBER`` equal parts.
        ranks: Of all methods, by their names.
        fraction: Of the pixels.
        fill: What takes their place.
        normalization: Normalisation of the images.
        seed: Of the noise of some fills.
    """
    mean, std = (normalization.mean, normalization.std) if normalization else (None, None)
    replacement = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)
    loader = data.predict_dataloader()[0]
    dataset: Any = loader.dataset
    samples = [dataset[i] for i in first_of_equal_parts(len(dataset), NUMBER)]
    rows, images, _ = read_indexed_batch(loader.collate_fn(samples))
    ids = sample_ids(data.split, rows.tolist(), seed).tolist()

    def panel(order: Order, store: RankStore) -> np.ndarray[Any, np.dtype[np.uint8]]:
        selection = PixelSelection(fraction=fraction, order=order)
        replaced = selection.replaced(store.ranks(data.split, rows))
        return _picture(replacement(images, replaced, ids), mean, std)

    clean = _picture(images, mean, std)
    share = percent(fraction)
    page = Examples(
        ["image", *(f"{share} {word}" for word in ENDS.values())],
        [
            (name, [clean, *(panel(order, store) for order in ENDS)])
            for name, store in ranks.items()
        ],
        [f"image {row}" for row in rows.tolist()],
    )
    atomic_write(path, png(draw_page(page)))


def _picture(images: Tensor, mean: Any, std: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(n, H, W, 3) uint8."""
    seen = unnormalized(images, mean if mean is not None else 0.0, std if std is not None else 1.0)
    return (seen * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
