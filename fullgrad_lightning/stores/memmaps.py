"""Arrays of a store: preallocated ``.npy`` files, opened as memory maps."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from fullgrad_lightning.stores.base import DamagedStore
from fullgrad_lightning.utilities.files import atomic_path

REMEDY = "Delete the store's folder and estimate again."


def preallocate(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Creates a file of zeros, with all of its disk space reserved.

    Raises:
        OSError: Not enough space on the disk.
    """
    with atomic_path(path) as unfinished:
        array = open_memmap(unfinished, "w+", dtype, shape)
        del array
        if hasattr(os, "posix_fallocate"):
            # Otherwise a process that writes to a memory map while the disk is full is killed
            # without a message.
            with unfinished.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, unfinished.stat().st_size)


def open_array(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, writable: bool
) -> NDArray[Any]:
    """Opens a memory map of a file that ``preallocate`` created.

    Raises:
        DamagedStore: The file is missing or holds another array.
    """
    try:
        # This refuses pickled objects, as np.load(allow_pickle=False) does. It is opened read-only
        # first, because opening a truncated file for writing would enlarge it.
        array = open_memmap(path, "r")
    except FileNotFoundError as error:
        raise DamagedStore(f"{path} is missing. {REMEDY}") from error
    except (ValueError, EOFError) as error:
        raise DamagedStore(f"{path} is damaged or was truncated ({error}). {REMEDY}") from error
    if (array.shape, array.dtype) != (shape, dtype):
        raise DamagedStore(
            f"{path} holds {array.dtype} of shape {array.shape}, where the manifest has {dtype} of "
            f"shape {shape}. {REMEDY}"
        )
    return open_memmap(path, "r+") if writable else array


def are_permutations(ranks: NDArray[Any]) -> NDArray[np.bool_]:
    """Returns whether each row of ranks (n, …) holds every number from 0 once, as (n,)."""
    flat = ranks.reshape(len(ranks), math.prod(ranks.shape[1:]))
    inside = (flat >= 0) & (flat < flat.shape[1])
    seen = np.zeros(flat.shape, dtype=bool)  # a fraction of the time of sorting
    np.put_along_axis(seen, np.where(inside, flat, 0).astype(np.int64), True, axis=1)
    return np.asarray((inside & seen).all(1))


def as_array(values: object) -> NDArray[Any]:
    """Converts numbers, an array, or a tensor on any device."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)
