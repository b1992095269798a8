"""Folders of grids as cells leave them, with results that are made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fullgrad_lightning.evaluation.roar.grid_state import CellState, GridState

Accuracy = Callable[[str, float, int], "float | None"]  # method, fraction, seed; None: not done


def falling(method: str, fraction: float, seed: int) -> float:
    """Some accuracy that depends on all labels."""
    speed = 0.2 + 0.05 * (sum(map(ord, method)) % 7)
    return 0.9 - speed * fraction**2 + 0.004 * np.sin(10 * fraction + 7 * seed)


def cells(folder: Path, *grid: Any, **options: Any) -> list[CellState]:
    """The cells of a grid that ``write`` writes."""
    return write(folder, *grid, **options).cells()


def write(
    folder: Path,
    methods: Iterable[str] = ("fullgrad", "random"),
    fractions: Iterable[float] = (0.1, 0.5),
    seeds: Iterable[int] = (0, 1, 2),
    *,
    accuracy: Accuracy = falling,
    failures: Mapping[tuple[str, float, int], str] | None = None,
    images: Callable[[float], np.ndarray] | None = None,
    mask_only: Collection[str] = (),
    **masking: object,
) -> GridState:
    """Writes the folder of a grid.

    Args:
        folder: Of the grid.
        methods, fractions, seeds: All combinations are cells.
        accuracy: What each cell measured; ``None`` for those that are waiting.
        failures: Tracebacks of those that failed.
        images: The examples (n, H, W, 3), uint8, of done cells by fraction.
        mask_only: Those of the methods that are controls.
        masking: What differs from the usual: most salient, removed, mean.
    """
    methods, fractions, seeds = list(methods), list(fractions), list(seeds)
    labels = [("reference", 0.0, seed) for seed in seeds]
    labels += [(m, f, s) for m in methods for s in seeds for f in fractions]
    names = []
    for place, (method, fraction, seed) in enumerate(labels):
        name = f"m{methods.index(method)}_{fraction:g}" if fraction else "reference"
        names.append(f"{name}_s{seed}_{place:08x}")
        cell = folder / "cells" / names[-1]
        cell.mkdir(parents=True)
        label = {"method": method, "fraction": fraction, "seed": seed}
        mask = None
        if fraction:
            usual = {"order": "most_salient", "remove": True, "fill": "mean"}
            mask = {"fraction": fraction, "mask_only": method in mask_only, **usual, **masking}
        _write(cell / "cell.json", label=label, masking=mask)
        if failure := (failures or {}).get((method, fraction, seed)):
            _write(cell / "failure.json", traceback=failure)
        elif (measured := accuracy(method, fraction, seed)) is not None:
            _write(
                cell / "result.json",
                label=label,
                test_accuracy=measured,
                test_loss=0.5,
                epochs=6,
                seconds={"total": 60.0, "training": 48.0, "outside": 12.0},
            )
            if images is not None:
                shown = images(fraction)
                count = np.arange(len(shown))
                np.savez(cell / "examples.npz", images=shown, labels=count, indices=7 * count)
    _write(folder / "grid.json", config={}, cells=names, maps=[])
    return GridState(folder)


def _write(path: Path, **content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
