"""The interface of resumable stores, their errors, and the comparison of their provenance.

Provenance is what determines the rows of a store (method, checkpoint, data, options): a store that
was created with other settings is refused rather than mixed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # showing the progress of a store must not import torch
    from torch import Tensor

Rows = NDArray[np.integer[Any]]
_ABSENT = object()


class StoreError(ValueError):
    """Raised when a store cannot be used as intended."""


class StoreMismatch(StoreError):
    """Raised when a store was created with different settings."""


class IncompleteStore(StoreError):
    """Raised when rows are missing: the prediction that writes them has not ended."""


class DamagedStore(StoreError):
    """Raised when files differ from what was written."""


class ResultStore(Protocol):
    """Rows of predictions, written by several processes, which records the rows still missing."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Number of rows of each split."""

    def missing(self, split: str) -> Rows:
        """Returns the rows that are not written, in ascending order."""

    def write(self, split: str, indices: Tensor, values: Tensor, /) -> None:
        """Writes rows; a row whose write is interrupted counts as missing."""

    def finish(self) -> None:
        """Marks the store as complete."""


def as_json(made_from: Mapping[str, Any]) -> dict[str, Any]:
    """Returns provenance as it reads from JSON: tuples become lists, keys strings.

    Raises:
        ValueError: It cannot be written as JSON.
    """
    try:
        result: dict[str, Any] = json.loads(json.dumps(dict(made_from), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"made_from must hold what JSON can: text, finite numbers, True, None, lists and "
            f"dictionaries of them ({error})."
        ) from error
    return result


def check_provenance(
    store: str, stored: Mapping[str, Any], requested: Mapping[str, Any], *, remedy: str
) -> None:
    """Checks that a store was created with the requested settings.

    Args:
        store: The store, as the subject of the error message.
        stored: The settings in the store, as JSON has them.
        requested: The settings now, with the same top-level keys.
        remedy: The end of the error message.

    Raises:
        StoreMismatch: Names each difference, with both values.
    """
    differing = [
        difference
        for name, value in stored.items()
        for difference in _differences(name, value, requested[name])
    ]
    if differing:
        raise StoreMismatch(
            f"{store} was created with different settings: {'; '.join(differing)}. {remedy}"
        )


def _differences(name: str, stored: object, requested: object) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(requested, dict):
        for key in sorted({*stored, *requested}):
            values = stored.get(key, _ABSENT), requested.get(key, _ABSENT)
            yield from _differences(f"{name}.{key}", *values)
    elif stored != requested:
        before, now = ("nothing" if v is _ABSENT else repr(v) for v in (stored, requested))
        yield f"{name} is {before} in the store and {now} now"
