"""``examples.png``: a few images with their least and most salient pixels replaced."""

from __future__ import annotations

from pathlib import Path

from fullgrad_lightning.datamodules.indexed_batches import read_indexed_batch
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.evaluation.reports.image_page import ImagePage, draw_page, example_batch
from fullgrad_lightning.evaluation.reports.tables import percent
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.files import atomic_write
from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.visualization.canvas import Pixels
from fullgrad_lightning.visualization.display_names import display_name
from fullgrad_lightning.visualization.unnormalize import input_pixels

NUM_EXAMPLES = 4
ORDERS: dict[Order, str] = {"least_salient": "least", "most_salient": "most"}


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
    """Draws a few images without a share of their least, and of their most salient pixels.

    Of ``data``, the first image of each of ``NUM_EXAMPLES`` equal parts is shown; ``ranks`` has the
    ranks of their pixels by the name of each method.
    """
    mean, std = (normalization.mean, normalization.std) if normalization else (None, None)
    replacer = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)
    _, batch = example_batch(data.predict_dataloader()[0], NUM_EXAMPLES)
    rows, images, _ = read_indexed_batch(batch)
    ids = sample_ids(data.split, rows.tolist(), seed).tolist()

    def without(order: Order, store: RankStore) -> Pixels:
        selection = PixelSelection(fraction=fraction, order=order)
        replaced = selection.replaced(store.ranks(data.split, rows))
        return input_pixels(replacer(images, replaced, ids), normalization)

    original = input_pixels(images, normalization)
    page = ImagePage(
        ["image", *(f"{percent(fraction)} {word}" for word in ORDERS.values())],
        [
            (display_name(name), [original, *(without(order, store) for order in ORDERS)])
            for name, store in ranks.items()
        ],
        [f"image {row}" for row in rows.tolist()],
    )
    atomic_write(path, draw_page(page).to_png())
