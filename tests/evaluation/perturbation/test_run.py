"""``fullgrad perturb``: the numbers of the metrics; killed or spread, the table is the same."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fullgrad_lightning import ROAD, InsertionDeletion, PixelPerturbation, saliency_method
from fullgrad_lightning.cli import main
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.models.saliency_predictor import sample_ids
from fullgrad_lightning.stores.rank_store import RankStore
from tests.evaluation.perturbation.perturbing import (
    FRACTIONS,
    IMAGES,
    ROAD_FRACTIONS,
    STEPS,
    SmallNet,
    arguments,
    images,
    perturb,
    table,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a benchmark that nothing disturbed."""
    output = tmp_path_factory.mktemp("whole")
    assert main(["perturb", *arguments(output)]) == 0
    return output


def means(output: Path) -> dict[tuple[str, str, str], list[float]]:
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in csv.DictReader(io.StringIO(table(output))):
        key = row["score"], row["curve"], row["method"]
        found.setdefault(key, []).append(float(row["mean"]))
        assert int(row["images"]) == IMAGES
    return found


def test_numbers_are_those_of_the_metrics(whole: Path) -> None:
    data = images()
    data.setup("test")
    x = torch.stack([sample.image for sample in data.test_set])  # type: ignore[union-attr]
    ids = sample_ids("test", range(IMAGES))
    model = SmallNet()
    found = means(whole)
    normalised: Any = {"mean": data.mean, "std": data.std}
    for method in ("fullgrad", "random"):
        maps = saliency_method(method)(model, x, sample_ids=ids)
        ranks = rank_pixels(maps, ids)
        stored = RankStore.open(whole / "ranks" / method).ranks("test", range(IMAGES))
        assert (stored == ranks).double().mean() > 0.99, "but for rounding of equal values"
        for order in ("least_salient", "most_salient"):
            perturbation = PixelPerturbation(FRACTIONS, order=order, **normalised)
            perturbation.update(model, x, stored)
            expected = perturbation.compute()["mean"].tolist()
            assert found["perturbation", order, method] == pytest.approx(expected, rel=1e-4)
        curves = InsertionDeletion(STEPS, **normalised)
        curves.update(model, x, stored)
        road = ROAD(ROAD_FRACTIONS, **normalised)
        road.update(model, x, stored, sample_ids=ids)
        for score, metric in (("insertion_deletion", curves), ("road", road)):
            for curve in {curve for name, curve, _ in found if name == score}:
                expected = metric.compute()[curve].tolist()
                assert found[score, curve, method] == pytest.approx(expected, abs=1e-5)


def test_the_report(whole: Path) -> None:
    text = (whole / "report" / "table.md").read_text()
    assert f"{IMAGES} images" in text and "methods done" not in text
    for heading in ("least salient pixels first", "most salient pixels first", "Insertion", "ROAD"):
        assert heading in text
    for name in ("perturbation", "insertion_deletion", "road", "examples"):
        with Image.open(whole / "report" / f"{name}.png") as picture:
            assert picture.width > 400 and len(picture.convert("RGB").getcolors(2**24) or []) > 20


def test_done_is_not_done_again(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = {p: p.stat().st_mtime_ns for p in whole.rglob("*.ranks.npy")}
    before = table(whole)
    crash = "--trainer.callbacks+=tests.callbacks.estimating.Failing"
    assert main(["perturb", *arguments(whole, crash, "--trainer.callbacks.at", "0")]) == 0
    assert table(whole) == before
    assert {p: p.stat().st_mtime_ns for p in whole.rglob("*.ranks.npy")} == written
    assert "Pixel perturbation" in capsys.readouterr().out


def test_a_method_is_added(whole: Path) -> None:
    crash = "--trainer.callbacks+=tests.callbacks.estimating.Failing"
    three = ("fullgrad", "random", "sobel")
    # Of the third method alone, four batches of maps and four of each score.
    crash_after = (crash, "--trainer.callbacks.at", "16")
    assert main(["perturb", *arguments(whole, *crash_after, methods=three)]) == 0
    assert {method for *_, method in means(whole)} == set(three)
    assert main(["perturb", *arguments(whole)]) == 0


@pytest.mark.parametrize("at", [2, 9])
def test_killed_the_same_command_goes_on(at: int, whole: Path, tmp_path: Path) -> None:
    """In the maps, and in the insertion of the first method."""
    killed = "tests.callbacks.estimating.Killed"
    kill = (f"--trainer.callbacks+={killed}", f"--trainer.callbacks.at={at}")
    assert perturb(*arguments(tmp_path, *kill)).returncode == -9
    written = sorted(path.name for path in (tmp_path / "ranks").iterdir())
    assert written == ["fullgrad"]
    done = perturb(*arguments(tmp_path))
    assert done.returncode == 0, done.stderr
    assert table(tmp_path) == table(whole)


def test_two_processes_make_the_same_table(whole: Path, tmp_path: Path) -> None:
    two = ("--trainer.devices", "2", "--trainer.strategy", "ddp")
    done = perturb(*arguments(tmp_path, *two))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Pixel perturbation, least salient") == 1, "one process tells"
    found, expected = means(tmp_path), means(whole)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, rel=1e-5, abs=1e-7)
