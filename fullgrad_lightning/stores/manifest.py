"""What a store of ranks says of itself: ``manifest.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from fullgrad_lightning.stores.errors import DamagedStore, StoreError, StoreMismatch
from fullgrad_lightning.stores.memmaps import REMEDY
from fullgrad_lightning.utilities.files import atomic_write

FORMAT = 1
NAME = "manifest.json"
_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a store holds.

    Args:
        sizes: Rows of each split.
        shape: (H, W) of the ranked images.
        made_from: What determines the ranks; values as JSON has them.
        checksums: Of the blocks of each split's ranks, once all rows are there; ``None`` before.
        format: Of the folder.
    """

    sizes: dict[str, int]
    shape: tuple[int, int]
    made_from: dict[str, Any]
    checksums: dict[str, list[str]] | None = None
    format: int = FORMAT

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integer, of two bytes at least, that numbers the pixels."""
        return rank_dtype(self.shape)

    def write(self, folder: Path) -> None:
        """Writes the manifest, whole or not at all."""
        atomic_write(folder / NAME, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder.

        Raises:
            FileNotFoundError: There is none.
            StoreError: It has another format.
            DamagedStore: It cannot be read.
        """
        path = folder / NAME
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} holds no store of ranks: there is no {NAME}. Is the path right, and has "
                "the prediction that writes it started?"
            )
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            version = stored["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(path, error) from error
        if version != FORMAT:
            raise StoreError(
                f"{path} has format {version!r}, and this version of the package reads format "
                f"{FORMAT}. Install the version that wrote it, or estimate again in a new folder."
            )
        try:
            known = {field.name: stored[field.name] for field in fields(cls)}
            manifest = cls(**{**known, "shape": tuple(stored["shape"])})
            check(manifest.sizes, manifest.shape)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(path, error) from error
        return manifest

    def check_same(self, folder: Path, given: Manifest) -> None:
        """Refuses a store that was made from something else.

        Raises:
            StoreMismatch: Names what differs, as it is stored and as it is given.
        """
        differing = [
            *differences("sizes", self.sizes, given.sizes),
            *differences("shape", self.shape, given.shape),
            *differences("made_from", self.made_from, given.made_from),
        ]
        if differing:
            raise StoreMismatch(
                f"The store in {folder} was made from something else: {'; '.join(differing)}. Give "
                "another folder, or delete this one to estimate anew."
            )


def rank_dtype(shape: tuple[int, int]) -> np.dtype[Any]:
    """The dtype of ranks on disk: uint16 up to 65,536 pixels, uint32 above."""
    return np.dtype("<u2" if shape[0] * shape[1] <= 2**16 else "<u4")


def check(sizes: Mapping[str, int], shape: tuple[int, int]) -> None:
    """Checks the splits and the shape of a store.

    Raises:
        ValueError: Names that cannot be part of a file's name, no rows, no (H, W).
    """
    for split, rows in sizes.items():
        if not split.isidentifier():
            raise ValueError(f"A split needs a name like 'train', got {split!r}.")
        if not _positive(rows):
            raise ValueError(f"Split {split!r} needs a number of rows ≥ 1, got {rows!r}.")
    if not sizes or len(shape) != 2 or not all(map(_positive, shape)):
        raise ValueError(f"A store needs splits and a shape (H, W), got {sizes} and {shape}.")


def as_json(made_from: Mapping[str, Any]) -> dict[str, Any]:
    """What ``made_from`` is when it is read again: tuples are lists, keys are strings.

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


def differences(name: str, stored: object, given: object) -> Iterator[str]:
    """What differs between two values as JSON has them, with the place of each difference."""
    if isinstance(stored, dict) and isinstance(given, dict):
        for key in sorted({*stored, *given}):
            values = stored.get(key, _ABSENT), given.get(key, _ABSENT)
            yield from differences(f"{name}.{key}", *values)
    elif stored != given:
        before, now = ("nothing" if v is _ABSENT else repr(v) for v in (stored, given))
        yield f"{name} is {before} in the store and {now} now"


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _unreadable(path: Path, error: Exception) -> DamagedStore:
    return DamagedStore(
        f"{path} is damaged and cannot be read ({type(error).__name__}: {error}). {REMEDY}"
    )
