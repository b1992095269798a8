"""From a grid to its jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fullgrad_lightning.evaluation.roar.config import GridConfig, MethodSpec
from fullgrad_lightning.evaluation.roar.jobs import CELLS, MAPS, REFERENCE, Job, config_hash

# Arguments of the Trainer on which no weight depends.
_APPEARANCE = (
    "enable_model_summary", "enable_progress_bar", "log_every_n_steps", "profiler",
    "num_sanity_val_steps",
)  # fmt: skip
# Where maps are computed; everything else of the Trainer is about training.
_DEVICES = ("accelerator", "devices", "strategy", "num_nodes")
_CHECKPOINT_SEED = 0
"""With a checkpoint for a reference there is one store for all seeds, estimated under this one."""


def plan_jobs(grid: GridConfig) -> list[Job]:
    """References, then estimates, then the other cells.

    Args:
        grid: With ``data``, ``model`` and ``trainer`` resolved, see ``config.resolve``: a default
            that is written out must not make another cell.

    Raises:
        FileNotFoundError: A checkpoint or a store that the grid names is not there.
    """
    output = Path(grid.output)
    references = {
        seed: _cell(grid, output, REFERENCE, 0.0, seed, None, ()) for seed in grid.all_seeds
    }
    estimates: dict[Path, Job] = {}
    cells: list[Job] = []
    for entry in grid.entries:
        for seed in entry.seeds:
            if entry.store is None:
                estimate = _estimate(grid, output, entry, seed, references)
                estimates[estimate.folder] = estimate
                store, maps = f"{MAPS}/{estimate.name}", estimate.description["identity"]
                needs: tuple[Path, ...] = (estimate.folder,)
            else:
                path = Path(entry.store).expanduser().absolute()
                store, maps = str(path), _digest(path / "manifest.json")
                needs = ()
            cells += _masked(grid, output, entry, seed, store, maps, needs)
    return [*references.values(), *estimates.values(), *cells]


def _masked(
    grid: GridConfig,
    output: Path,
    entry: MethodSpec,
    seed: int,
    store: str,
    maps: str,
    needs: tuple[Path, ...],
) -> Iterator[Job]:
    for fraction in grid.fractions:
        masking = {
            "store": store, "maps": maps, "fraction": float(fraction), "order": grid.order,
            "remove": grid.remove, "fill": grid.fill, "mask_only": entry.mask_only,
        }  # fmt: skip
        yield _cell(grid, output, entry.name, float(fraction), seed, masking, needs)


def _cell(
    grid: GridConfig, output: Path, method: str, fraction: float, seed: int,
    masking: dict[str, Any] | None, needs: tuple[Path, ...],
) -> Job:  # fmt: skip
    where = ("store",)  # the same ranks in another place make the same cell
    decisive = masking and {key: value for key, value in masking.items() if key not in where}
    trainer = {key: value for key, value in grid.trainer.items() if key not in _APPEARANCE}
    hashed = config_hash(
        {
            "seed": seed,
            "data": grid.data,
            "model": grid.model,
            "trainer": trainer,
            "masking": decisive,
        }
    )
    share = "" if masking is None else f"_{fraction:g}"
    description = {
        "label": {"method": method, "fraction": fraction, "seed": seed},
        "identity": hashed,
        "data": grid.data,
        "model": grid.model,
        "trainer": grid.trainer,
        "masking": masking,
    }
    return Job(output / CELLS / f"{method}{share}_s{seed}_{hashed[:8]}", description, needs)


def _estimate(
    grid: GridConfig, output: Path, entry: MethodSpec, seed: int, references: dict[int, Job]
) -> Job:
    needs: tuple[Path, ...] = ()
    if grid.reference is None:
        reference = references[seed]
        checkpoint, weights = (
            f"{CELLS}/{reference.name}/last.ckpt",
            reference.description["identity"],
        )
        needs = (reference.folder,)
    else:
        seed = _CHECKPOINT_SEED
        path = Path(grid.reference).expanduser().absolute()
        checkpoint, weights = str(path), _digest(path)
    determines = {
        "method": entry.method, "options": entry.options, "target": grid.target, "seed": seed,
        "data": grid.data, "model": grid.model,
    }  # fmt: skip
    hashed = config_hash({**determines, "weights": weights})
    description = {
        "label": {"method": entry.method, "seed": seed},
        "identity": hashed,
        **determines,
        "checkpoint": checkpoint,
        "trainer": {key: grid.trainer[key] for key in _DEVICES if key in grid.trainer},
    }
    return Job(output / MAPS / f"{entry.method}_s{seed}_{hashed[:8]}", description, needs)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
