"""One split of a data module as it is evaluated, whose samples know their row numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.utils.data import DataLoader, Subset

from fullgrad_lightning.datamodules.base import integer_option
from fullgrad_lightning.datamodules.dataloaders import loader_of
from fullgrad_lightning.datamodules.roar.dataset_checks import inspect, spread
from fullgrad_lightning.datamodules.roar.indexed_dataset import IndexedDataset, indexed_loader
from fullgrad_lightning.datamodules.roar.transform_split import normalization_by, transforms_of

STAGES = {"val": "validate", "test": "test", "predict": "predict"}
_REMEDY = " Samples to be explained must be the same every time, and of one size."


class IndexedSplitDataModule(pl.LightningDataModule):
    """The samples of one split of another data module, in order, as batches that know their rows.

    What ``SaliencyPredictor`` with a ``SaliencyWriter`` takes, of data that is evaluated only; a
    ``ROARDataModule`` does the same for all splits of data that networks are trained on.

    Args:
        base: Whose samples.
        split: ``"val"``, ``"test"`` or ``"predict"``; base is set up for that alone.
        samples: How many, evenly spread over the split; ``None``: all. Row i is the i-th of them.

    Raises:
        ValueError: An option out of range; in ``setup``, base has no such data, its images differ
            in size, or a sample is not the same when it is fetched again.
        TypeError: In ``setup``, a loader of samples without numbers; see ``ROARDataModule``.

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
        if split not in STAGES:
            raise ValueError(f"split must be one of {tuple(STAGES)}, got {split!r}.")
        if samples is not None:
            integer_option("samples", samples, 1)
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
        """A hash of their number, and of 64 samples spread over them."""
        assert self._samples is not None
        return self._digest.hex()

    @property
    def normalization(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation by channel: base's own, or of the samples' ``Normalize``."""
        found = normalization_by(self.base, lambda: transforms_of(self._samples, self.split))
        return found and (list(map(float, found[0])), list(map(float, found[1])))

    def prepare_data(self) -> None:
        """Base's own."""
        self.base.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Sets base up, once, and looks at samples."""
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
            dataset = Subset(dataset, spread(len(dataset), self.samples))
        self._shape, self._digest = inspect(self.split, dataset, remedy=_REMEDY)
        self._dataset = dataset

    def predict_dataloader(self) -> list[DataLoader[Any]]:
        """One loader of (rows (N,), batch), in order."""
        dataset = IndexedDataset(
            self._samples, self._shape, split=self.split, evaluation=nn.Identity()
        )
        processes = 1 if self.trainer is None else int(self.trainer.world_size)
        return [indexed_loader(dataset, self._loader(), self._rows, processes)]

    def only_rows(self, rows: Mapping[str, Sequence[int]]) -> None:
        """Lets ``predict_dataloader`` hand out these samples only: those that are still missing."""
        found = rows.get(self.split)
        self._rows = None if found is None else [int(row) for row in found]

    @property
    def _samples(self) -> Any:
        if self._dataset is None:
            raise RuntimeError(f"{type(self).__name__} is not set up: call setup() first.")
        return self._dataset

    def _loader(self) -> DataLoader[Any]:
        loader = loader_of(self.base, self.split)
        if loader is None:
            raise ValueError(f"{type(self.base).__name__} has no {self.split}_dataloader.")
        return loader
