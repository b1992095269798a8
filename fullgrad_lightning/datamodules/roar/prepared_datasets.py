"""All splits with prepared images, looked at before anything is ranked, replaced or trained.

Shapes: (C, H, W) of a prepared image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fullgrad_lightning.datamodules.roar.dataset_checks import (
    check_evaluation,
    check_taken_apart,
    inspect,
)
from fullgrad_lightning.datamodules.roar.transform_split import (
    Pipeline,
    bottom,
    pipeline_of,
    prepared,
)


@dataclass(frozen=True)
class PreparedSplits:
    """The data sets of all splits, and copies of them that hand out prepared images.

    Args:
        originals: The user's own, by split; never changed.
        views: The copies.
        pipeline: How raw images become prepared ones, and what follows.
        shape: (C, H, W) of all prepared images.
        digests: A hash of each split.
    """

    originals: Mapping[str, Any]
    views: Mapping[str, Any]
    pipeline: Pipeline
    shape: tuple[int, int, int]
    digests: Mapping[str, bytes]

    @property
    def sizes(self) -> dict[str, int]:
        """Number of samples of each split."""
        return {split: len(view) for split, view in self.views.items()}

    @property
    def fingerprint(self) -> str:
        """A hash of the sizes, and of 64 prepared samples spread over each split, in hex."""
        parts = [split.encode() + digest for split, digest in self.digests.items()]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def view(self, split: str, dataset: Any) -> Any:
        """Prepared samples of the data set that a loader has now.

        Args:
            split: The loader's.
            dataset: The one it had before, or another with the same samples.

        Raises:
            ValueError: Other samples: an index would not mean the same image.
        """
        if dataset is self.originals[split]:
            return self.views[split]
        view = _view(dataset, self.pipeline)
        _, found = inspect(split, view, self.shape)
        if found != self.digests[split]:
            raise ValueError(
                f"The {split} loader has other samples than it had in setup, {len(view)} where "
                f"there were {len(self.views[split])}: an index no longer means the same image, "
                "and masks would land on others. Choose samples once, in setup; a loader may "
                "shuffle them with its sampler."
            )
        return view


def prepare_splits(datasets: Mapping[str, Any], given: Pipeline | None) -> PreparedSplits:
    """Takes the data sets' transforms apart and looks at samples of each.

    Args:
        datasets: By split, map-style.
        given: The user's own steps, which replace the transforms; ``None``: they are taken apart.

    Raises:
        ValueError: Images whose pixels cannot be ranked once for all uses: of varying sizes,
            augmented inside the data set, or seen in another geometry in evaluation.
        TypeError: Samples without an image.
    """
    if given is not None:
        for split, dataset in datasets.items():
            without = [part for part in bottom(dataset) if not hasattr(part, "transform")]
            if without:
                raise ValueError(
                    "prepare= takes the place of the data sets' `transform`, but the "
                    f"{type(without[0]).__name__} of the {split} split has none. Leave prepare out,"
                    " or give the data set a `transform` that it calls on each image."
                )
    pipeline = given or pipeline_of(datasets)
    views = {split: _view(dataset, pipeline) for split, dataset in datasets.items()}
    shape, digests = None, {}
    for split, view in views.items():
        shape, digests[split] = inspect(split, view, shape)
    for split, view in views.items():
        check_evaluation(split, view, pipeline.evaluation)
        if given is None:
            check_taken_apart(split, view, pipeline.rests[split], datasets[split])
    assert shape is not None
    return PreparedSplits(dict(datasets), views, pipeline, shape, digests)


def _view(dataset: Any, pipeline: Pipeline) -> Any:
    return dataset if pipeline.prepare is None else prepared(dataset, pipeline.prepare)
