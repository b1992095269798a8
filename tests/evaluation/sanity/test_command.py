"""``fullgrad sanity``, as a user calls it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image

import fullgrad_lightning as fgl
from fullgrad_lightning.cli import main
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.evaluation.sanity.randomization_test import check_randomization
from fullgrad_lightning.models.saliency_predictor import sample_ids


def arguments(output: Path, *more: str) -> list[str]:
    return [
        "sanity", "--model", "ImageClassifier", "--model.model", "vgg9", "--model.num_classes", "8",
        "--model.model_options", "{width: 8}", "--data", "ShapesDataModule", "--data.batch_size",
        "3", "--data.test_size", "40", "--trainer.accelerator", "cpu", "--output", str(output),
        *more,
    ]  # fmt: skip


def test_it_prints_and_writes_what_the_function_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(5)
    classifier = fgl.ImageClassifier("vgg9", 8, model_options={"width": 8})
    checkpoint, output = tmp_path / "weights.pt", tmp_path / "out"
    torch.save(classifier.state_dict(), checkpoint)
    asked = ["--methods", "fullgrad", "random", "--samples", "5", "--stages", "3", "--seed", "4"]
    done = main(arguments(output, *asked, "--checkpoint", str(checkpoint), "--target", "label"))
    assert done == 0
    assert "SSIM" in (said := capsys.readouterr().out) and str(output) in said

    data = IndexedSplitDataModule(fgl.ShapesDataModule(test_size=40), samples=5)
    data.setup("predict")
    rows, (images, labels, _) = next(iter(data.predict_dataloader()[0]))
    expected = check_randomization(
        classifier, images, ["fullgrad", "random"], target=labels, stages=3, seed=4,
        sample_ids=sample_ids("test", rows.tolist(), 4),
    )  # fmt: skip
    written = list(csv.DictReader((output / "results.csv").read_text().splitlines()))
    assert [float(row["spearman"]) for row in written] == pytest.approx(
        [
            value
            for method in ("fullgrad", "random")
            for value in expected.similarity["spearman"][method].flatten().tolist()
        ],
        abs=1e-4,  # batches of 3 and of 5 round differently
    )
    assert {row["layer"] for row in written} == {"original", "linear", "conv5", "conv1"}
    with Image.open(output / "sanity_maps.png") as picture:
        assert picture.width == 140 * 5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--methods", "fulgrad"], "Did you mean 'fullgrad'"),
        (["--methods", "sobel", "--stages", "0"], "stages must be an integer ≥ 1"),
        (["--methods", "sobel", "--pictures", "0"], "pictures must be an integer ≥ 1"),
        (["--methods", "sobel", "--samples", "41"], "There are 40 samples in the test split"),
        (["--methods", "sobel", "--trainer.devices", "2"], "runs on one device, got 2"),
        (["--methods", "fullgrad", "--target", "8"], "outside 0…7"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(arguments(tmp_path / "out", *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", "ImageFolderDataModule", "--data.data_dir", str(tmp_path / "nowhere")]
    words = ["--methods", "sobel", "--model", "torch.nn.Flatten", *data]
    assert main(["sanity", *words, "--trainer.accelerator", "cpu"]) == 2
    assert "fullgrad sanity: No images in" in capsys.readouterr().err


def test_its_help_names_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["sanity", "--help"])
    assert done.value.code == 0
    assert "--stages" in capsys.readouterr().out
