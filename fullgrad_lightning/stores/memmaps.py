"""The arrays of a store: ``.npy`` files of fixed size, seen through memory maps."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from fullgrad_lightning.stores.errors import DamagedStore
from fullgrad_lightning.utilities.files import atomic_path

REMEDY = "Delete the store's folder and estimate again."


def make_blank(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Makes a file of zeros, all of whose room on the disk is taken.

    Raises:
        OSError: There is not enough room.
    """
    with atomic_path(path) as unfinished:
        array = open_memmap(unfinished, "w+", dtype, shape)
        del array
        if hasattr(os, "posix_fallocate"):
            # Otherwise the process that finds the disk full while it writes to a memory map is
            # killed, without a word.
            with unfinished.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, unfinished.stat().st_size)


def open_array(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, writable: bool
) -> NDArray[Any]:
    """A memory map of a file that ``make_blank`` made.

    Raises:
        DamagedStore: The file is missing or is no such array.
    """
    try:
        # Which refuses pickled objects, as np.load(allow_pickle=False) does. First to read from:
        # opened to write to, a file that was truncated would be enlarged.
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
    """Whether each row of ranks, (n, …), holds every number from 0 once; (n,)."""
    flat = ranks.reshape(len(ranks), math.prod(ranks.shape[1:]))
    inside = (flat >= 0) & (flat < flat.shape[1])
    seen = np.zeros(flat.shape, dtype=bool)  # which takes a fraction of the time of sorting
    np.put_along_axis(seen, np.where(inside, flat, 0).astype(np.int64), True, axis=1)
    return np.asarray((inside & seen).all(1))


def as_array(values: object) -> NDArray[Any]:
    """Numbers, an array, or a tensor on any device."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)
