"""``manifest.json``: the contents, provenance and checksums of a store of ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from fullgrad_lightning.stores.base import DamagedStore, StoreError, check_provenance
from fullgrad_lightning.stores.memmaps import REMEDY
from fullgrad_lightning.utilities.checks import is_int
from fullgrad_lightning.utilities.files import atomic_write

FORMAT = 1
NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Contents and provenance of a store.

    Args:
        sizes: Number of rows of each split.
        shape: (H, W) of the ranked images.
        made_from: Everything that determines the ranks; values as JSON has them.
        checksums: Checksums of the blocks of each split's ranks; ``None`` until all rows are there.
        format: Version of the folder's format.
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
        """Writes the manifest atomically."""
        atomic_write(folder / NAME, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Reads the manifest of a folder.

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
            entries = {field.name: stored[field.name] for field in fields(cls)}
            manifest = cls(**{**entries, "shape": tuple(stored["shape"])})
            check(manifest.sizes, manifest.shape)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(path, error) from error
        return manifest

    def check_same(self, folder: Path, requested: Manifest) -> None:
        """Checks that the folder's store was created with the requested settings.

        Raises:
            StoreMismatch: Names each difference, with the stored and the requested value.
        """
        stored, new = (
            {"sizes": manifest.sizes, "shape": manifest.shape, "made_from": manifest.made_from}
            for manifest in (self, requested)
        )
        check_provenance(
            f"The store in {folder}", stored, new,
            remedy="Give another folder, or delete this one to estimate again.",
        )  # fmt: skip


def rank_dtype(shape: tuple[int, int]) -> np.dtype[Any]:
    """Returns the dtype of ranks on disk: uint16 up to 65,536 pixels, uint32 above."""
    return np.dtype("<u2" if shape[0] * shape[1] <= 2**16 else "<u4")


def check(sizes: Mapping[str, int], shape: tuple[int, int]) -> None:
    """Checks the splits and the shape of a store.

    Raises:
        ValueError: Names that cannot be part of a file's name, no rows, no (H, W).
    """
    for split, rows in sizes.items():
        if not split.isidentifier():
            raise ValueError(f"A split needs a name like 'train', got {split!r}.")
        if not is_int(rows, 1):
            raise ValueError(f"Split {split!r} needs a number of rows ≥ 1, got {rows!r}.")
    if not sizes or len(shape) != 2 or not all(is_int(side, 1) for side in shape):
        raise ValueError(f"A store needs splits and a shape (H, W), got {sizes} and {shape}.")


def _unreadable(path: Path, error: Exception) -> DamagedStore:
    return DamagedStore(
        f"{path} is damaged and cannot be read ({type(error).__name__}: {error}). {REMEDY}"
    )
