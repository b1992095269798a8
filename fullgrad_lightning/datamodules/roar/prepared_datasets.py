"""All splits with prepared images, checked before anything is ranked, replaced or trained.

Shapes: (C, H, W) of a prepared image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullgrad_lightning.datamodules.roar.dataset_checks import (
    check_evaluation,
    check_split_transform,
    fingerprint_samples,
)
from fullgrad_lightning.datamodules.roar.transform_split import (
    Pipeline,
    base_datasets,
    split_transforms,
)
from fullgrad_lightning.datamodules.transforms import replace_transform
from fullgrad_lightning.stores.rank_store import RankStore


@dataclass(frozen=True)
class PreparedSplits:
    """The data sets of all splits, and copies of them with prepared images."""

    originals: Mapping[str, Any]  # the user's, never changed
    views: Mapping[str, Any]  # the copies
    pipeline: Pipeline
    shape: tuple[int, int, int]  # (C, H, W) of all prepared images
    digests: Mapping[str, bytes]  # a hash of each split

    @property
    def sizes(self) -> dict[str, int]:
        """Number of samples of each split."""
        return {split: len(view) for split, view in self.views.items()}

    @property
    def fingerprint(self) -> str:
        """A hash of the sizes, and of 64 prepared samples of each split, in hex."""
        parts = [split.encode() + digest for split, digest in self.digests.items()]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def view(self, split: str, dataset: Any) -> Any:
        """Returns prepared samples of the data set that the split's loader has now.

        A loader may build another in each call, of the same samples.
        """
        if dataset is self.originals[split]:
            return self.views[split]
        view = _view(dataset, self.pipeline)
        _, digest = fingerprint_samples(split, view, self.shape)
        if digest != self.digests[split]:
            raise ValueError(
                f"The {split} loader has other samples than it had in setup, {len(view)} where "
                f"there were {len(self.views[split])}: an index no longer means the same image, "
                "and masks would land on others. Choose samples once, in setup; a loader may "
                "shuffle them with its sampler."
            )
        return view


def prepare_splits(datasets: Mapping[str, Any], pipeline: Pipeline | None) -> PreparedSplits:
    """Prepares the images of data sets, by split, and checks samples of each.

    The user's own pipeline replaces the transforms; without one, these are split.

    Raises:
        ValueError: Images whose pixels cannot be ranked once for all uses: of varying sizes,
            augmented inside the data set, or evaluated in another geometry.
        TypeError: Samples without an image.
    """
    is_derived = pipeline is None
    if pipeline is None:
        pipeline = split_transforms(datasets)
    else:
        _check_replaceable(datasets)
    views = {split: _view(dataset, pipeline) for split, dataset in datasets.items()}
    shape, digests = None, {}
    for split, view in views.items():
        shape, digests[split] = fingerprint_samples(split, view, shape)
    for split, view in views.items():
        check_evaluation(split, view, pipeline.evaluation)
        if is_derived:
            check_split_transform(split, view, pipeline.remainders[split], datasets[split])
    assert shape is not None
    return PreparedSplits(dict(datasets), views, pipeline, shape, digests)


def open_rank_store(folder: Path, images: PreparedSplits) -> RankStore:
    """Opens a complete store and checks that it ranks these images.

    Only sizes are compared where the store has no fingerprint of the images
    (``made_from["data"]``), as a store that a user filled.
    """
    store = RankStore.open(folder)
    rows = {split: store.sizes.get(split, 0) for split in images.sizes}
    data = store.made_from.get("data", images.fingerprint)
    for name, in_store, here in (
        ("height and width", tuple(store.shape), images.shape[1:]),
        ("numbers of images", rows, images.sizes),
        ("fingerprint (a hash of prepared images)", data, images.fingerprint),
    ):
        if in_store != here:
            raise ValueError(
                f"The store in {folder} ranks the pixels of other images. Their {name}: {in_store} "
                f"in the store, {here} here. Pass the data module that it was estimated on, with "
                "the same splits, subsets and first transforms, or estimate a store of this one."
            )
    return store


def _check_replaceable(datasets: Mapping[str, Any]) -> None:
    for split, dataset in datasets.items():
        without = [part for part in base_datasets(dataset) if not hasattr(part, "transform")]
        if without:
            raise ValueError(
                "prepare= takes the place of the data sets' `transform`, but the "
                f"{type(without[0]).__name__} of the {split} split has none. Leave prepare out,"
                " or give the data set a `transform` that it calls on each image."
            )


def _view(dataset: Any, pipeline: Pipeline) -> Any:
    return dataset if pipeline.prepare is None else replace_transform(dataset, pipeline.prepare)
