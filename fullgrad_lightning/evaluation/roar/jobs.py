"""Jobs of a grid and the files of its folder. Imports nothing that is slow to import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullgrad_lightning.utilities.files import atomic_write

# The folder of a grid.
GRID, REPORT, CELLS, MAPS = "grid.json", "report", "cells", "maps"
# The folder of a job; that of saliency maps is also their ``RankStore``.
RESULT, FAILURE, LOG = "result.json", "failure.json", "log.txt"
CHECKPOINT, EXAMPLES = "last.ckpt", "examples.npz"

REFERENCE = "reference"
"""The name of the series in which no pixel is replaced."""
_DESCRIPTIONS = {CELLS: "cell.json", MAPS: "job.json"}
_MODULES = {CELLS: "train_job", MAPS: "saliency_job"}


def config_hash(config: Mapping[str, Any]) -> str:
    """The SHA-256, in hexadecimal, of the canonical JSON of all that determines a result.

    Raises:
        ValueError: NaN or infinity.
        TypeError: A value that JSON cannot express.

    Examples:
        >>> config_hash({"seed": 0, "lr": 0.1}) == config_hash({"lr": 0.1, "seed": 0})
        True
    """
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """One process of the grid: a cell, which trains, or the saliency maps of a method."""

    folder: Path  # ``<output>/cells/<name>`` or ``<output>/maps/<name>``
    description: Mapping[str, Any]  # all that the process needs; has ``identity`` and ``label``
    depends_on: tuple[Path, ...] = ()  # folders of jobs that must be done first

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def is_cell(self) -> bool:
        """True if the job trains a network."""
        return self.folder.parent.name == CELLS

    @property
    def module(self) -> str:
        """The module that is run, as ``python -m <module> <folder>``."""
        return f"{__package__}.{_MODULES[self.folder.parent.name]}"

    @property
    def is_done(self) -> bool:
        """True if the job has a result."""
        return (self.folder / RESULT).is_file()

    def write(self) -> None:
        """Creates the folder with the job's description, unless it exists."""
        path = description_path(self.folder)
        if not path.is_file():
            write_json(path, self.description)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file of the grid's folder atomically."""
    atomic_write(path, json.dumps(content, indent=2) + "\n")


def description_path(folder: Path) -> Path:
    """The file with the description of a job, ``cell.json`` or ``job.json``."""
    return folder / _DESCRIPTIONS.get(folder.parent.name, "job.json")


def read_description(folder: Path) -> dict[str, Any]:
    """Reads the description of a job.

    Raises:
        FileNotFoundError: The folder is not a job's.
    """
    path = description_path(folder)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: {folder} is not a job's folder. `fullgrad roar run` creates them."
        )
    description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return description


def grid_folder(job: Path) -> Path:
    """The folder of the grid that a job's folder belongs to, from which its paths are counted."""
    return job.absolute().parent.parent
