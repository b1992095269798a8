"""What a job is: a folder, what determines its result, and which jobs must be done before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullgrad_lightning.utilities.files import atomic_write

RESULT, FAILURE, LOG = "result.json", "failure.json", "log.txt"
CELLS, MAPS = "cells", "maps"
REFERENCE = "reference"
"""The name of the method that removes nothing."""


def config_hash(determines: Mapping[str, Any]) -> str:
    """The SHA-256, in hexadecimal, of the canonical JSON of what determines a result.

    Raises:
        ValueError: NaN or infinity.
        TypeError: Something that JSON cannot express.

    Examples:
        >>> config_hash({"seed": 0, "lr": 0.1}) == config_hash({"lr": 0.1, "seed": 0})
        True
    """
    text = json.dumps(determines, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """One process of the grid: a cell, which trains, or an estimate, which maps.

    Args:
        folder: Its own, ``<output>/cells/<name>`` or ``<output>/maps/<name>``.
        description: All that the process must know; has ``config_hash`` and ``label``.
        needs: Folders of jobs that must be done first.
    """

    folder: Path
    description: Mapping[str, Any]
    needs: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def is_cell(self) -> bool:
        """Whether it trains."""
        return self.folder.parent.name == CELLS

    @property
    def module(self) -> str:
        """What is run, as ``python -m <module> <folder>``."""
        return (
            f"fullgrad_lightning.evaluation.roar.{'train_job' if self.is_cell else 'saliency_job'}"
        )

    @property
    def done(self) -> bool:
        """Whether it has a result."""
        return (self.folder / RESULT).is_file()

    def write(self) -> None:
        """Makes the folder with its ``cell.json`` or ``job.json``, if it is not there."""
        path = description_path(self.folder)
        if not path.is_file():
            atomic_write(path, json.dumps(self.description, indent=2) + "\n")


def description_path(folder: Path) -> Path:
    """Where the description of the job of a folder is."""
    return folder / ("cell.json" if folder.parent.name == CELLS else "job.json")


def read_description(folder: Path) -> dict[str, Any]:
    """What the process of a job must know.

    Raises:
        FileNotFoundError: The folder is not a job's.
    """
    path = description_path(folder)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: {folder} is not a job's folder. `fullgrad roar run` makes them."
        )
    description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return description
