"""ROARDataModule: images without their most salient pixels, for remove and retrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader

from fullgrad_lightning.datamodules.dataloaders import replace_dataset, split_dataloader
from fullgrad_lightning.datamodules.delegation import DelegatingDataModule
from fullgrad_lightning.datamodules.indexed_batches import IndexedDataset, indexed_dataloader
from fullgrad_lightning.datamodules.roar.channel_mean import load_channel_mean
from fullgrad_lightning.datamodules.roar.masked_dataset import MaskedDataset, Masking
from fullgrad_lightning.datamodules.roar.prepared_datasets import (
    PreparedSplits,
    open_rank_store,
    prepare_splits,
)
from fullgrad_lightning.datamodules.roar.transform_split import join_steps
from fullgrad_lightning.datamodules.splits import SPLITS
from fullgrad_lightning.datamodules.transforms import Transform
from fullgrad_lightning.masking.fills import FILL_RULES
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.utilities.checks import check_choice, check_int


class ROARDataModule(DelegatingDataModule):
    """The images of another data module without their most salient pixels (Hooker et al. 2019).

    The deterministic steps with which all transforms of ``base`` begin (*prepare*: ``ToImage``,
    ``Resize``, …, up to the first that is random, unknown or ``Normalize``) define the image whose
    pixels are ranked and replaced, exactly round(fraction·H·W) of them in every image of train,
    validation and test alike. The remainder of each transform follows, so masks move with the
    pixels. The data sets of ``base`` are copied, never changed.

    For estimation, ``predict_dataloader`` yields the images of all splits without augmentation, as
    ``IndexedBatch``; see ``IndexedDataModule``.

    Args:
        base: Any data module with one ``DataLoader`` for each split, of a map-style data set. It
            is set up for ``"fit"`` and ``"test"``, whatever the stage.
        store: Folder of a ``RankStore`` of the same images; ``None``: for estimation only.
        fraction: Share of the pixels, 0…1.
        order: ``"most_salient"`` or ``"least_salient"``: the pixels that are chosen first.
        remove: Whether that fraction is replaced, or kept and all others replaced (KAR).
        fill: The values of replaced pixels, in all channels: ``"mean"`` (of the channel over the
            training images, computed once and kept beside the store), ``"black"`` (0 before
            normalisation), ``"blur"``, or ``"noisy_linear"`` (ROAD, Rong et al. 2022).
        mask_only: Control: the image is replaced by the mask itself; ``fill`` does not matter.
        seed: The seed of the noise of ``"noisy_linear"``, drawn for each (split, index).
        prepare: The user's own first step. Together with the next two it replaces the transforms
            of the data sets, where those cannot be split: from a raw image to one of a fixed size,
            without randomness.
        train_transform: From there to the network's input in training (``torch.nn.Identity()`` if
            nothing follows).
        eval_transform: From there to the network's input otherwise.

    Raises:
        TypeError: ``base`` is not a data module; in ``setup``, its loaders cannot be copied.
        ValueError: An option out of range; in ``setup``, no store to train with, one of other
            images, or images whose pixels cannot be ranked once for all uses, with the remedy.

    Examples:
        >>> from fullgrad_lightning.datamodules import ShapesDataModule
        >>> data = ROARDataModule(ShapesDataModule(train_size=128, batch_size=8))
        >>> data.setup("predict")
        >>> data.sizes, data.image_shape
        ({'train': 128, 'val': 500, 'test': 500}, (3, 32, 32))
        >>> indices, sample = next(iter(data.predict_dataloader()[0]))
        >>> indices.tolist(), sample.image.shape
        ([0, 1, 2, 3, 4, 5, 6, 7], torch.Size([8, 3, 32, 32]))
    """

    def __init__(
        self,
        base: pl.LightningDataModule,
        store: str | Path | None = None,
        fraction: float = 0.3,
        *,
        order: Order = "most_salient",
        remove: bool = True,
        fill: Fill = "mean",
        mask_only: bool = False,
        seed: int = 0,
        prepare: Transform | None = None,
        train_transform: Transform | None = None,
        eval_transform: Transform | None = None,
    ) -> None:
        super().__init__(base)
        self.selection = PixelSelection(fraction=fraction, order=order, remove=remove)
        check_choice("fill", fill, get_args(Fill))
        if not isinstance(mask_only, bool):
            raise ValueError(f"mask_only must be True or False, got {mask_only!r}.")
        check_int("seed", seed)
        self.store = None if store is None else Path(store).expanduser()
        self.fill, self.mask_only, self.seed = fill, mask_only, seed
        self._pipeline = join_steps(prepare, train_transform, eval_transform)
        self._rows: dict[str, list[int]] = {}
        self._prepared: PreparedSplits | None = None
        self._masking: Masking | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """Base's splits among ``"train"``, ``"val"``, ``"test"``, in this order."""
        return tuple(self._images.views)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of samples of each split."""
        return self._images.sizes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images whose pixels are ranked."""
        return self._images.shape

    @property
    def fingerprint(self) -> str:
        """A hash of the sizes, and of 64 prepared samples of each split."""
        return self._images.fingerprint

    def setup(self, stage: str | None = None) -> None:
        """Sets base up and checks samples of each split; opens the store, except to predict."""
        masks = stage != "predict" and (stage is not None or self.store is not None)
        if masks and self.store is None:
            raise ValueError(
                f"{type(self).__name__} has no store of ranks, so no pixel can be replaced. "
                "Estimate ranks first (trainer.predict with a SaliencyWriter), and pass their "
                f"folder: {type(self).__name__}(base, store)."
            )
        if self._prepared is None:
            self.base.setup("fit")
            if is_overridden("test_dataloader", self.base):
                self.base.setup("test")
            loaders = {split: split_dataloader(self.base, split) for split in SPLITS}
            # Not `if loader`: an empty one is false, and an error.
            datasets = {s: loader.dataset for s, loader in loaders.items() if loader is not None}
            if "train" not in datasets:
                raise ValueError(f"{type(self.base).__name__} has no training data.")
            self._prepared = prepare_splits(datasets, self._pipeline)
        if masks:
            self._masking = self._build_masking()

    def teardown(self, stage: str) -> None:
        """Tears base down; the next ``setup`` starts again if base has a teardown."""
        super().teardown(stage)
        if is_overridden("teardown", self.base):
            self._prepared = self._masking = None

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns base's training loader, with pixels replaced."""
        return self._masked("train")

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """Returns base's validation loader, with pixels replaced; an empty list if it has none."""
        return self._masked("val") if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader[Any]:
        """Returns base's test loader, with pixels replaced."""
        return self._masked("test")

    def predict_dataloader(self) -> list[DataLoader[Any]]:
        """Returns a loader of ``IndexedBatch`` for each of ``splits``, in order, not augmented."""
        images, like = self._images, self._loader(self.splits[-1])
        evaluation = images.pipeline.evaluation
        loaders = []
        for split, view in images.views.items():
            dataset = IndexedDataset(view, images.shape, split=split, evaluation=evaluation)
            loaders.append(indexed_dataloader(dataset, like, self._rows.get(split), self.trainer))
        return loaders

    def only_rows(self, rows: Mapping[str, Sequence[int]]) -> None:
        """Restricts ``predict_dataloader`` to these samples, for instance those still missing.

        Splits without an entry are complete. In a distributed prediction of fewer samples than
        processes, some come twice.
        """
        self._rows = {split: [int(index) for index in indices] for split, indices in rows.items()}

    @property
    def _images(self) -> PreparedSplits:
        if self._prepared is None:
            raise RuntimeError(f"{type(self).__name__} is not set up: call setup() first.")
        return self._prepared

    def _loader(self, split: str) -> DataLoader[Any]:
        # To build a loader draws no random number; to iterate it does.
        loader = split_dataloader(self.base, split)
        if loader is None or split not in self._images.views:
            raise ValueError(f"{type(self.base).__name__} has no {split} data.")
        return loader

    def _masked(self, split: str) -> DataLoader[Any]:
        images, loader = self._images, self._loader(split)
        if self._masking is None:
            raise RuntimeError("Masks are not set up: call setup('fit') or setup('test') first.")
        dataset = MaskedDataset(
            images.view(split, loader.dataset),
            images.shape,
            split=split,
            masking=self._masking,
            remainder=images.pipeline.remainders[split],
        )
        return replace_dataset(loader, dataset)

    def _build_masking(self) -> Masking:
        assert self.store is not None
        store = open_rank_store(self.store, self._images)
        mean = None
        if FILL_RULES[self.fill].uses_mean and not self.mask_only:
            mean = load_channel_mean(
                self._images,
                store.folder,
                num_workers=self._loader("train").num_workers,
                trainer=self.trainer,
            )
        return Masking(store, self.selection, self.fill, self.mask_only, mean, self.seed)
