"""The files of a sanity check."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from fullgrad_lightning.evaluation.sanity.report import make_table, write_sanity_report
from fullgrad_lightning.evaluation.sanity.results import SanityCurves

PICTURES = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def curves(samples: int = 5, kept: int = 2) -> SanityCurves:
    generator = torch.Generator().manual_seed(1)
    methods = ("fullgrad", "one|more")

    def drawn() -> dict[str, torch.Tensor]:
        values = torch.rand(3, samples, generator=generator, dtype=torch.float64)
        return {method: values * (0.5 if method == "fullgrad" else 1.0) for method in methods}

    spearman = drawn()
    return SanityCurves(
        layers=("fc", "layer1.0.conv", "features.of.a.very.long.name.conv1"),
        depths=(0, 1, 3),
        similarity={"spearman": spearman, "spearman_abs": dict(spearman), "ssim": drawn()},
        maps={m: torch.rand(3, kept, 1, 32, 48, generator=generator) for m in methods},
    )


def test_files(tmp_path: Path) -> None:
    folder, results = tmp_path / "new" / "report", curves()
    text = write_sanity_report(results, PICTURES, folder)
    assert {path.name for path in folder.iterdir()} == {
        "results.csv", "table.md", "sanity.png", "sanity.svg", "sanity_maps.png",
    }  # fmt: skip
    assert str(folder) in text and "SSIM" in text and "absolute" not in text
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert len(rows) == 2 * 3 * 5
    for row in rows:
        stage = results.depths.index(int(row["depth"]))
        assert row["layer"] == results.headings[stage]
        for measure in ("spearman", "spearman_abs", "ssim"):
            value = results.similarity[measure][row["method"]][stage, int(row["sample"])]
            assert float(row[measure]) == value.item()
    markdown = (folder / "table.md").read_text()
    assert "5 samples; 3 layers" in markdown and "one\\|more" in markdown
    assert "| method | 1 fc | 3 features.of.a.very.long.name.conv1 |" in markdown
    with Image.open(folder / "sanity.png") as picture:
        assert picture.size == (1600, 960)
    with Image.open(folder / "sanity_maps.png") as picture:
        assert picture.width == 4 * 140  # the input and three stages
        assert np.asarray(picture).std() > 20


def test_means_and_intervals(tmp_path: Path) -> None:
    results = curves()
    values = results.similarity["ssim"]["fullgrad"][1].numpy()
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    half = (high - low) / 2
    assert make_table(results, "ssim")[1][1] == f"{values.mean():.2f} ± {half:.2f}"


def test_what_all_names_begin_with_is_left_out() -> None:
    def headings(*layers: str) -> tuple[str, ...]:
        return SanityCurves(layers, tuple(range(1 + len(layers))), {}, {}).headings[1:]

    assert headings("net.fc", "net.conv1", "net.conv2") == ("fc", "conv1", "conv2")
    assert headings("fc", "", "features.0") == ("fc", "(network)", "features.0")
    assert headings("conv2", "conv1") == ("conv2", "conv1")


def test_one_sample_has_no_interval(tmp_path: Path) -> None:
    results = curves(samples=1, kept=1)
    assert write_sanity_report(results, PICTURES[:1], tmp_path)
    assert "±" not in make_table(results, "spearman")[1][1]


def test_negative_maps_get_their_own_table(tmp_path: Path) -> None:
    results = curves()
    results.similarity["spearman_abs"]["fullgrad"] = torch.full((3, 5), -1e-9, dtype=torch.float64)
    assert "absolute values" in write_sanity_report(results, PICTURES, tmp_path)
    _, *rows = make_table(results, "spearman_abs")
    assert rows == [["fullgrad", "0.00 ± 0.00", "0.00 ± 0.00"]]
    assert len(make_table(results, "spearman")) == 3


def test_of_many_stages_some_are_drawn(tmp_path: Path) -> None:
    stages = 42
    values = {"sobel": torch.linspace(1, -0.5, stages, dtype=torch.float64)[:, None].repeat(1, 2)}
    maps = torch.zeros(stages, 1, 1, 32, 32)
    maps[-1, :, :, 16:] = 1
    many = SanityCurves(
        layers=tuple(f"conv{i}" for i in range(1, stages)),
        depths=tuple(range(stages)),
        similarity={"spearman": values, "spearman_abs": values, "ssim": values},
        maps={"sobel": maps},
    )
    write_sanity_report(many, PICTURES[:1, :, :, :32], tmp_path)
    with Image.open(tmp_path / "sanity_maps.png") as picture:
        assert picture.width == 140 * 11
        pixels = np.asarray(picture).astype(int)
    *_, before, last = np.split(pixels[-100:], range(140, 140 * 11, 140), axis=1)
    assert before.mean() < 60 < last.mean()  # the last stage is among them, alone
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + stages * 2


def test_identical_files_for_identical_results(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_sanity_report(curves(), PICTURES, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("images", [PICTURES[:1], PICTURES[:, :1], PICTURES[0]])
def test_images_must_fit(tmp_path: Path, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"images must be \(2, 3, H, W\)"):
        write_sanity_report(curves(), images, tmp_path)
    assert not list(tmp_path.iterdir())
