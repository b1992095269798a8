"""Plans the jobs of a grid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fullgrad_lightning.evaluation.roar.config import ResolvedGrid, SeriesSpec
from fullgrad_lightning.evaluation.roar.jobs import (
    CELLS,
    CHECKPOINT,
    MAPS,
    REFERENCE,
    Job,
    config_hash,
)
from fullgrad_lightning.stores import manifest

# Arguments of the Trainer on which no weight depends.
_APPEARANCE = (
    "enable_model_summary", "enable_progress_bar", "log_every_n_steps", "profiler",
    "num_sanity_val_steps",
)  # fmt: skip
# Arguments that choose where maps are computed; all others concern training.
_DEVICES = ("accelerator", "devices", "strategy", "num_nodes")
_CHECKPOINT_SEED = 0
"""With a checkpoint as the reference one store serves all seeds, computed under this one."""


def plan_jobs(grid: ResolvedGrid) -> list[Job]:
    """Plans the references, then the saliency maps, then the other cells.

    Raises:
        FileNotFoundError: A checkpoint or a store that the grid names does not exist.
    """
    return _Planner(grid).jobs()


class _Planner:
    def __init__(self, grid: ResolvedGrid) -> None:
        self.grid, self.output = grid, Path(grid.output)
        self.references = {
            seed: self.cell(REFERENCE, 0.0, seed, None, ()) for seed in grid.all_seeds
        }

    def jobs(self) -> list[Job]:
        maps: dict[Path, Job] = {}
        cells: list[Job] = []
        for spec in self.grid.specs:
            for seed in spec.seeds:
                if spec.store is None:
                    job = self.maps(spec, seed)
                    maps[job.folder] = job  # series with the same maps share them
                    ranks = {"store": f"{MAPS}/{job.name}", "maps": job.description["identity"]}
                    cells += self.masked(spec, seed, ranks, (job.folder,))
                else:
                    path = Path(spec.store).expanduser().absolute()
                    ranks = {"store": str(path), "maps": _digest(path / manifest.NAME)}
                    cells += self.masked(spec, seed, ranks, ())
        return [*self.references.values(), *maps.values(), *cells]

    def masked(
        self, spec: SeriesSpec, seed: int, ranks: dict[str, str], depends_on: tuple[Path, ...]
    ) -> Iterator[Job]:
        """The cells of one series and seed."""
        for fraction in map(float, self.grid.fractions):
            masking = {
                **ranks, "fraction": fraction, "order": self.grid.order,
                "remove": self.grid.remove, "fill": self.grid.fill, "mask_only": spec.mask_only,
            }  # fmt: skip
            yield self.cell(spec.name, fraction, seed, masking, depends_on)

    def cell(
        self, name: str, fraction: float, seed: int,
        masking: dict[str, Any] | None, depends_on: tuple[Path, ...],
    ) -> Job:  # fmt: skip
        """One training."""
        common = {"data": self.grid.data, "model": self.grid.model}
        trainer = {k: v for k, v in self.grid.trainer.items() if k not in _APPEARANCE}
        # The same ranks in another folder make the same cell.
        decisive = masking and {key: value for key, value in masking.items() if key != "store"}
        hashed = config_hash({"seed": seed, **common, "trainer": trainer, "masking": decisive})
        description = {
            "label": {"method": name, "fraction": fraction, "seed": seed},
            "identity": hashed,
            **common,
            "trainer": self.grid.trainer,
            "masking": masking,
        }
        share = "" if masking is None else f"_{fraction:g}"
        folder = self.output / CELLS / f"{name}{share}_s{seed}_{hashed[:8]}"
        return Job(folder, description, depends_on)

    def maps(self, spec: SeriesSpec, seed: int) -> Job:
        """The saliency maps of one method and network."""
        depends_on: tuple[Path, ...] = ()
        if self.grid.reference is None:
            reference = self.references[seed]
            depends_on = (reference.folder,)
            checkpoint = f"{CELLS}/{reference.name}/{CHECKPOINT}"
            weights = reference.description["identity"]
        else:
            seed = _CHECKPOINT_SEED
            path = Path(self.grid.reference).expanduser().absolute()
            checkpoint, weights = str(path), _digest(path)
        config = {
            "method": spec.method, "options": spec.options, "target": self.grid.target,
            "seed": seed, "data": self.grid.data, "model": self.grid.model,
        }  # fmt: skip
        hashed = config_hash({**config, "weights": weights})
        description = {
            "label": {"method": spec.method, "seed": seed},
            "identity": hashed,
            **config,
            "checkpoint": checkpoint,
            "trainer": {k: self.grid.trainer[k] for k in _DEVICES if k in self.grid.trainer},
        }
        folder = self.output / MAPS / f"{spec.method}_s{seed}_{hashed[:8]}"
        return Job(folder, description, depends_on)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
