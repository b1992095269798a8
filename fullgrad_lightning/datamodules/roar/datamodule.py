"""Remove and retrain: a data module whose images lack the pixels that a saliency method named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader

from fullgrad_lightning.datamodules.base import integer_option
from fullgrad_lightning.datamodules.dataloaders import loader_of, rebuilt
from fullgrad_lightning.datamodules.roar import delegation as handed_on
from fullgrad_lightning.datamodules.roar.indexed_dataset import IndexedDataset, indexed_loader
from fullgrad_lightning.datamodules.roar.masked_dataset import SPLITS, MaskedDataset, Masking
from fullgrad_lightning.datamodules.roar.prepared_datasets import PreparedSplits, prepare_splits
from fullgrad_lightning.datamodules.roar.rank_store_checks import mean_of, store_of
from fullgrad_lightning.datamodules.roar.transform_split import Pipeline, Transform, own_steps
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.masking.selection import PixelSelection


class ROARDataModule(pl.LightningDataModule):
    """The images of another data module without their most salient pixels (Hooker et al. 2019).

    The deterministic steps with which all transforms of ``base`` begin (*prepare*: ``ToImage``,
    ``Resize``, …, up to the first that is random, unknown or ``Normalize``) define the image whose
    pixels are ranked and replaced, exactly round(fraction·H·W) of them in every image of train,
    validation and test alike. What is left of each transform follows, so masks move with the
    pixels. The data sets of ``base`` are copied, never changed.

    For estimation, ``predict_dataloader`` hands out the images of all splits without augmentation.

    Args:
        base: Whose images: any data module with one ``DataLoader`` for each split, of a map-style
            data set. It is set up for ``"fit"`` and ``"test"``, whatever the stage.
        store: Folder of a ``RankStore`` of the same images. Without it images can be estimated
            only.
        fraction: Share of the pixels, 0…1.
        order: ``"most_salient"`` or ``"least_salient"``, which are chosen first.
        remove: Whether that fraction is replaced, or kept and all others replaced (KAR).
        fill: What takes a pixel's place, in all channels: ``"mean"`` (of the channel over the
            training images, computed once and kept beside the store), ``"black"`` (0 before
            normalisation), ``"blur"``, or ``"noisy_linear"`` (ROAD, Rong et al. 2022).
        mask_only: Control: the image is replaced by the mask itself; ``fill`` does not matter.
        seed: Of the noise of ``"noisy_linear"``, drawn for each (split, index).
        prepare: The user's own first step, with the next two: together they take the place of
            the transforms of the data sets, where those cannot be taken apart. From what the data
            sets read to an image of one size, the same every time.
        train_transform: From there to what the network sees in training (``torch.nn.Identity()`` if
            nothing follows).
        eval_transform: And in all else.

    Raises:
        TypeError: ``base`` is no data module; in ``setup``, its loaders cannot be wrapped.
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
        if not isinstance(base, pl.LightningDataModule):
            raise TypeError(
                "base must be a pytorch_lightning.LightningDataModule, got a "
                f"{type(base).__name__}. LightningDataModule.from_datasets makes one of data sets."
            )
        self.base = base
        super().__init__()
        self.selection = PixelSelection(fraction=fraction, order=order, remove=remove)
        if fill not in get_args(Fill):
            raise ValueError(f"fill must be one of {get_args(Fill)}, got {fill!r}.")
        if not isinstance(mask_only, bool):
            raise ValueError(f"mask_only must be True or False, got {mask_only!r}.")
        integer_option("seed", seed)
        self.store = None if store is None else Path(store).expanduser()
        self.fill, self.mask_only, self.seed = fill, mask_only, seed
        self._steps = own_steps(prepare, train_transform, eval_transform)
        self._rows: dict[str, list[int]] = {}
        self._prepared: PreparedSplits | None = None
        self._masking: Masking | None = None
        self.prepare_data_per_node = base.prepare_data_per_node
        vars(self).update(handed_on.hooks_of(base))

    @property
    def trainer(self) -> pl.Trainer | None:
        """The Trainer, which base knows too."""
        return self.base.trainer

    @trainer.setter
    def trainer(self, trainer: pl.Trainer | None) -> None:
        self.base.trainer = trainer

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that base has of ``"train"``, ``"val"``, ``"test"``, in this order."""
        return tuple(self._found.views)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of samples of each split."""
        return self._found.sizes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images whose pixels are ranked."""
        return self._found.shape

    @property
    def fingerprint(self) -> str:
        """A hash of the sizes, and of 64 prepared samples spread over each split."""
        return self._found.fingerprint

    def setup(self, stage: str | None = None) -> None:
        """Sets base up and looks at samples of each split; opens the store, but for predicting."""
        trains = stage != "predict" and (stage is not None or self.store is not None)
        if trains and self.store is None:
            raise ValueError(
                f"{type(self).__name__} has no store of ranks, so no pixel can be replaced. "
                "Estimate ranks first (trainer.predict with a SaliencyWriter), and pass their "
                f"folder: {type(self).__name__}(base, store)."
            )
        if self._prepared is None:
            self.base.setup("fit")
            if is_overridden("test_dataloader", self.base):
                self.base.setup("test")
            loaders = {split: loader_of(self.base, split) for split in SPLITS}
            # Not `if loader`: an empty one is false, and to be complained about.
            datasets = {s: loader.dataset for s, loader in loaders.items() if loader is not None}
            if "train" not in datasets:
                raise ValueError(f"{type(self.base).__name__} has no training data.")
            self._prepared = prepare_splits(datasets, self._pipeline(datasets))
        if trains:
            self._masking = self._open()

    def teardown(self, stage: str) -> None:
        """Base's own; it is set up anew if need be."""
        self.base.teardown(stage)
        if is_overridden("teardown", self.base):
            self._prepared = self._masking = None

    def train_dataloader(self) -> DataLoader[Any]:
        """Base's training loader, with pixels replaced."""
        return self._masked("train")

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """Base's validation loader, with pixels replaced; an empty list if it has none."""
        return self._masked("val") if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader[Any]:
        """Base's test loader, with pixels replaced."""
        return self._masked("test")

    def predict_dataloader(self) -> list[DataLoader[Any]]:
        """A loader for each of ``splits``, of (indices (N,), batch), in order, not augmented."""
        found, like = self._found, self._loader(self.splits[-1])
        evaluation = found.pipeline.evaluation
        processes = 1 if self.trainer is None else int(self.trainer.world_size)
        return [
            indexed_loader(
                IndexedDataset(view, found.shape, split=split, evaluation=evaluation),
                like,
                self._rows.get(split),
                processes,
            )
            for split, view in found.views.items()
        ]

    def only_rows(self, rows: Mapping[str, Sequence[int]]) -> None:
        """Lets ``predict_dataloader`` hand out these samples only: those that are still missing.

        In a distributed prediction of fewer samples than processes, some come twice.

        Args:
            rows: Indices by split; splits that are not named are handed out whole.
        """
        self._rows = {split: [int(index) for index in indices] for split, indices in rows.items()}

    def __getattr__(self, name: str) -> Any:
        if name in handed_on.ATTRIBUTES:
            return getattr(self.base, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def _found(self) -> PreparedSplits:
        if self._prepared is None:
            raise RuntimeError(f"{type(self).__name__} is not set up: call setup() first.")
        return self._prepared

    def _loader(self, split: str) -> DataLoader[Any]:
        # Asking for a loader draws no random number; iterating does.
        loader = loader_of(self.base, split)
        if loader is None or split not in self._found.views:
            raise ValueError(f"{type(self.base).__name__} has no {split} data.")
        return loader

    def _pipeline(self, splits: Mapping[str, Any]) -> Pipeline | None:
        if self._steps is None:
            return None
        prepare, train, evaluation = self._steps
        rests = {split: train if split == "train" else evaluation for split in splits}
        return Pipeline(prepare, rests, evaluation)

    def _masked(self, split: str) -> DataLoader[Any]:
        found, loader = self._found, self._loader(split)
        if self._masking is None:
            raise RuntimeError("Masks are not set up: call setup('fit') or setup('test') first.")
        masked = MaskedDataset(
            found.view(split, loader.dataset),
            found.shape,
            split=split,
            masking=self._masking,
            rest=found.pipeline.rests[split],
        )
        return rebuilt(loader, masked)

    def _open(self) -> Masking:
        assert self.store is not None
        store = store_of(self.store, self._found)
        mean = None
        if self.fill in ("mean", "noisy_linear") and not self.mask_only:
            num_workers = self._loader("train").num_workers
            mean = mean_of(self._found, store.folder, num_workers=num_workers, trainer=self.trainer)
        return Masking(store, self.selection, self.fill, self.mask_only, mean, self.seed)
