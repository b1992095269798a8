"""A small store, and a process that writes some of its rows.

    python -m tests.stores.rank_stores FOLDER FIRST STEP PAUSE

prints that it is ready and waits for a line; then it writes the rows FIRST, FIRST + STEP, … of
every split, one by one, and waits PAUSE seconds after each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullgrad_lightning.stores.rank_store import RankStore

SIZES = {"train": 61, "test": 17}
SHAPE = (8, 9)
MADE_FROM: dict[str, Any] = {"method": "fullgrad", "options": {"sites": "all"}, "sizes": (1, 2)}


def ranks_of(split: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranks (m, H, W) that the tests write to rows (m,)."""
    pixels = SHAPE[0] * SHAPE[1]
    found = [np.random.default_rng([len(split), row]).permutation(pixels) for row in rows]
    return np.array(found, dtype=np.int64).reshape(-1, *SHAPE)


def create(folder: Path, **changed: Any) -> RankStore:
    options: dict[str, Any] = {"sizes": SIZES, "shape": SHAPE, "made_from": MADE_FROM}
    return RankStore.create(folder, **{**options, **changed})


def write(store: RankStore, split: str, rows: NDArray[np.int64]) -> None:
    store.write(split, rows, ranks_of(split, rows))


def complete(folder: Path) -> RankStore:
    """A finished store."""
    store = create(folder)
    for split in SIZES:
        write(store, split, store.missing(split))
    store.finish()
    return store


def writer(
    folder: Path, first: int = 0, step: int = 1, pause: float = 0.0
) -> subprocess.Popen[str]:
    """Starts this file as a process, and waits until it is ready to ``go``."""
    command = [sys.executable, "-m", "tests.stores.rank_stores", str(folder)]
    process = subprocess.Popen(
        [*command, str(first), str(step), str(pause)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(*processes: subprocess.Popen[str]) -> None:
    """Lets writers begin, all at the same time."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def finished(process: subprocess.Popen[str]) -> list[str]:
    """The rows that a writer wrote, after it has ended without an error."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.splitlines()


def main(folder: str, first: str, step: str, pause: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    store = create(Path(folder))
    for split in SIZES:
        mine = np.arange(int(first), SIZES[split], int(step))
        missing = store.missing(split)
        for row in mine[np.isin(mine, missing)]:
            write(store, split, np.array([row]))
            print(split, row, flush=True)
            time.sleep(float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:])
