"""IndexedSplitDataModule: one evaluated split of a data module, with row numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.utils.data import DataLoader, Subset

from fullgrad_lightning.datamodules.dataloaders import split_dataloader
from fullgrad_lightning.datamodules.indexed_batches import IndexedDataset, indexed_dataloader
from fullgrad_lightning.datamodules.roar.dataset_checks import fingerprint_samples
from fullgrad_lightning.datamodules.roar.transform_split import find_normalization, list_transforms
from fullgrad_lightning.utilities.checks import check_choice, check_int
from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.utilities.normalization import Normalization

STAGES = {"val": "validate", "test": "test", "predict": "predict"}
_REMEDY = " Samples to be explained must be the same every time, and of one size."


class IndexedSplitDataModule(pl.LightningDataModule):
    """The samples of one split of another data module, in order, with row numbers.

    An ``IndexedDataModule`` for ``SaliencyPredictor`` and ``SaliencyWriter``, of data that is
    evaluated only; ``ROARDataModule`` is one for all splits of data that networks are trained on.

    Args:
        base: Any data module with one ``DataLoader`` of the split, of a map-style data set.
        split: ``"val"``, ``"test"`` or ``"predict"``; base is set up for that alone.
        samples: Number of samples, evenly spaced over the split; ``None``: all. Row i is the i-th
            of them.

    Raises:
        ValueError: An option out of range; in ``setup``, base has no such data, its images differ
            in size, or a sample is not the same when it is fetched again.
        TypeError: In ``setup``, a loader that cannot be copied; see ``ROARDataModule``.

    Examples:
        >>> from fullgrad_lightning.datamodules import ShapesDataModule
        >>> data = IndexedSplitDataModule(ShapesDataModule(train_size=8), "test", samples=5)
        >>> data.setup("predict")
        >>> data.sizes, data.image_shape
        ({'test': 5}, (3, 32, 32))
        >>> rows, sample = next(iter(data.predict_dataloader()[0]))
        >>> rows.tolist()
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self, base: pl.LightningDataModule, split: str = "test", *, samples: int | None = None
    ) -> None:
        super().__init__()
        check_choice("split", split, tuple(STAGES))
        if samples is not None:
            check_int("samples", samples, 1)
        self.base, self.split, self.samples = base, split, samples
        self.prepare_data_per_node = base.prepare_data_per_node
        self._rows: list[int] | None = None
        self._dataset: Any = None
        self._shape, self._digest = (0, 0, 0), b""

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split."""
        return (self.split,)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of samples of the split."""
        return {self.split: len(self._samples)}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        assert self._samples is not None
        return self._shape

    @property
    def fingerprint(self) -> str:
        """A hash of their number, and of 64 samples."""
        assert self._samples is not None
        return self._digest.hex()

    @property
    def normalization(self) -> Normalization | None:
        """The normalisation of base, or of the one ``Normalize`` among the samples' transforms."""
        return find_normalization(self.base, lambda: list_transforms(self._samples, self.split))

    def prepare_data(self) -> None:
        """Prepares base."""
        self.base.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Sets base up, once, and checks samples."""
        if self._dataset is not None:
            return
        self.base.trainer = self.trainer
        self.base.setup(STAGES[self.split])
        dataset: Any = self._loader().dataset
        if self.samples is not None:
            if self.samples > len(dataset):
                raise ValueError(
                    f"There are {len(dataset)} samples in the {self.split} split, fewer than "
                    f"samples={self.samples}."
                )
            dataset = Subset(dataset, evenly_spaced_indices(len(dataset), self.samples))
        self._shape, self._digest = fingerprint_samples(self.split, dataset, remedy=_REMEDY)
        self._dataset = dataset

    def predict_dataloader(self) -> list[DataLoader[Any]]:
        """Returns one loader of ``IndexedBatch``, in order."""
        dataset = IndexedDataset(
            self._samples, self._shape, split=self.split, evaluation=nn.Identity()
        )
        return [indexed_dataloader(dataset, self._loader(), self._rows, self.trainer)]

    def only_rows(self, rows: Mapping[str, Sequence[int]]) -> None:
        """Restricts ``predict_dataloader`` to these samples, for instance those still missing."""
        selected = rows.get(self.split)
        self._rows = None if selected is None else [int(row) for row in selected]

    @property
    def _samples(self) -> Any:
        if self._dataset is None:
            raise RuntimeError(f"{type(self).__name__} is not set up: call setup() first.")
        return self._dataset

    def _loader(self) -> DataLoader[Any]:
        loader = split_dataloader(self.base, self.split)
        if loader is None:
            raise ValueError(f"{type(self.base).__name__} has no {self.split}_dataloader.")
        return loader
