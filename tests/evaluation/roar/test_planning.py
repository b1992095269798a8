"""From a grid to jobs: which there are, what tells them apart, what they need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fullgrad_lightning.evaluation.roar.config import ResolvedGrid
from fullgrad_lightning.evaluation.roar.jobs import Job
from fullgrad_lightning.evaluation.roar.planning import plan_jobs


def grid(output: Path, **changes: Any) -> ResolvedGrid:
    options: dict[str, Any] = {
        "methods": {"fullgrad": {}, "random": {"seeds": [0]}},
        "fractions": [0.1, 0.5],
        "seeds": [0, 1],
        "data": {"class_path": "Data"},
        "model": {"class_path": "Model"},
        "trainer": {"max_epochs": 3},
        "output": str(output),
    }
    return ResolvedGrid(**{**options, **changes})


def labels(jobs: list[Job], *, cells: bool) -> list[tuple[Any, ...]]:
    return [tuple(job.description["label"].values()) for job in jobs if job.is_cell == cells]


def test_all_combinations_and_one_reference_for_each_seed(tmp_path: Path) -> None:
    jobs = plan_jobs(grid(tmp_path))
    assert labels(jobs, cells=True) == [
        ("reference", 0.0, 0), ("reference", 0.0, 1),
        ("fullgrad", 0.1, 0), ("fullgrad", 0.5, 0), ("fullgrad", 0.1, 1), ("fullgrad", 0.5, 1),
        ("random", 0.1, 0), ("random", 0.5, 0),
    ]  # fmt: skip
    assert labels(jobs, cells=False) == [("fullgrad", 0), ("fullgrad", 1), ("random", 0)]
    assert len({job.folder for job in jobs}) == len(jobs)


def test_what_each_needs(tmp_path: Path) -> None:
    by_folder = {job.folder: job for job in plan_jobs(grid(tmp_path))}
    for job in by_folder.values():
        seed = job.description["label"]["seed"]
        needs = [by_folder[folder].description["label"] for folder in job.depends_on]
        if job.name.startswith("reference"):
            assert needs == []
        elif job.is_cell:
            assert needs == [{"method": job.description["label"]["method"], "seed": seed}]
            assert job.description["masking"]["store"] == f"maps/{job.depends_on[0].name}"
        else:
            assert needs == [{"method": "reference", "fraction": 0.0, "seed": seed}]


def test_a_checkpoint_serves_all_seeds(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.ckpt"
    checkpoint.write_bytes(b"weights")
    jobs = plan_jobs(grid(tmp_path, reference=str(checkpoint)))
    assert labels(jobs, cells=False) == [("fullgrad", 0), ("random", 0)]
    estimates = [job for job in jobs if not job.is_cell]
    assert all(job.depends_on == () for job in estimates)
    checkpoint.write_bytes(b"other weights")
    again = [job for job in plan_jobs(grid(tmp_path, reference=str(checkpoint))) if not job.is_cell]
    assert not {job.folder for job in estimates} & {job.folder for job in again}


def test_a_store_of_ones_own_needs_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    jobs = plan_jobs(grid(tmp_path, methods={"mine": {"store": str(tmp_path)}}))
    assert labels(jobs, cells=False) == []
    (masked, *_) = [job for job in jobs if job.description["label"]["method"] == "mine"]
    assert masked.depends_on == () and masked.description["masking"]["store"] == str(tmp_path)


def test_series_with_the_same_maps_share_them(tmp_path: Path) -> None:
    methods = {"fullgrad": {}, "its_mask": {"method": "fullgrad", "mask_only": True}}
    jobs = plan_jobs(grid(tmp_path, methods=methods))
    assert labels(jobs, cells=False) == [("fullgrad", 0), ("fullgrad", 1)]
    masked = [job for job in jobs if job.is_cell and job.depends_on]
    assert [job.description["masking"]["mask_only"] for job in masked] == [False] * 4 + [True] * 4


def test_a_grown_grid_holds_the_smaller_one(tmp_path: Path) -> None:
    small = {job.folder: job for job in plan_jobs(grid(tmp_path))}
    large = {
        job.folder: job
        for job in plan_jobs(
            grid(
                tmp_path,
                methods={"sobel": {}, "fullgrad": {}, "random": {"seeds": [0]}},
                fractions=[0.3, 0.5, 0.1],
                seeds=[2, 1, 0],
            )
        )
    }
    assert small.keys() < large.keys()
    assert all(large[folder] == job for folder, job in small.items())


@pytest.mark.parametrize(
    ("changes", "same_references", "same_maps"),
    [
        ({"trainer": {"max_epochs": 4}}, False, False),
        ({"model": {"class_path": "Other"}}, False, False),
        ({"data": {"class_path": "Other"}}, False, False),
        ({"target": 1}, True, False),
        ({"fill": "black"}, True, True),
        ({"order": "least_salient"}, True, True),
        ({"remove": False}, True, True),
    ],
)
def test_what_determines_a_result(
    changes: dict[str, Any], same_references: bool, same_maps: bool, tmp_path: Path
) -> None:
    one, two = plan_jobs(grid(tmp_path)), plan_jobs(grid(tmp_path, **changes))

    def folders(jobs: list[Job], which: str) -> set[Path]:
        references = {job.folder for job in jobs if job.name.startswith("reference")}
        maps = {job.folder for job in jobs if not job.is_cell}
        masked = {job.folder for job in jobs} - references - maps
        return {"references": references, "maps": maps, "masked": masked}[which]

    assert (folders(one, "references") == folders(two, "references")) == same_references
    assert (folders(one, "maps") == folders(two, "maps")) == same_maps
    assert not folders(one, "masked") & folders(two, "masked")


def test_what_does_not(tmp_path: Path) -> None:
    one = grid(tmp_path)
    two = replace(one, trainer={"max_epochs": 3, "enable_progress_bar": True})
    assert {job.folder for job in plan_jobs(one)} == {job.folder for job in plan_jobs(two)}
