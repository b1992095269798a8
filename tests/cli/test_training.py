"""`fullgrad fit`, `validate`, `test` and `predict`, and the examples that they run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import BasePredictionWriter
from torchvision.transforms.v2.functional import to_pil_image

from fullgrad_lightning.callbacks import FullGradMonitor
from fullgrad_lightning.cli import main
from fullgrad_lightning.cli.lightning_cli import TrainingCLI
from fullgrad_lightning.models import ImageClassifier
from fullgrad_lightning.models.texture_classifier import TextureClassifier

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = (
    "--model", "ImageClassifier", "--model.num_classes", "8", "--model.model_options", "{width: 2}",
    "--data", "ShapesDataModule", "--data.train_size", "64", "--data.val_size", "16",
    "--data.test_size", "16", "--data.batch_size", "16",
    "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false",
)  # fmt: skip


class Writer(BasePredictionWriter):
    """Keeps what is predicted in a file."""

    def __init__(self, path: str) -> None:
        super().__init__("epoch")
        self.path = path

    def write_on_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, predictions: object, _: object
    ) -> None:
        torch.save(predictions, self.path)


class OwnModule(TextureClassifier):
    """As a user's own module is found: by its full path."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fit_then_everything_from_its_checkpoint(folder: Path) -> None:
    fit = ("fit", *SMALL, "--trainer.max_epochs", "1", "--trainer.callbacks+=FullGradMonitor")
    assert main([*fit, "--trainer.callbacks.num_samples", "2"]) == 0
    logs = folder / "lightning_logs" / "version_0"
    assert (logs / "fullgrad" / "film_strip.png").is_file()
    saved = yaml.safe_load((logs / "config.yaml").read_text())
    assert saved["trainer"]["callbacks"][0]["init_args"]["num_samples"] == 2
    (checkpoint,) = logs.rglob("*.ckpt")
    for command in ("validate", "test"):
        assert main([command, *SMALL, "--ckpt_path", str(checkpoint)]) == 0
    writer = (f"--trainer.callbacks+={__name__}.Writer", "--trainer.callbacks.path", "logits.pt")
    assert main(["predict", *SMALL, "--ckpt_path", str(checkpoint), *writer]) == 0
    assert torch.cat(torch.load("logits.pt")).shape == (16, 8)


def test_a_second_run_into_the_same_folder(folder: Path) -> None:
    run = ("fit", *SMALL, "--trainer.max_steps", "1", "--trainer.logger", "false")
    for seed in (1, 2):
        assert main([*run, "--seed_everything", str(seed)]) == 0
        saved = yaml.safe_load((folder / "config.yaml").read_text())
        assert saved["seed_everything"] == seed


def test_a_module_of_ones_own(folder: Path) -> None:
    arguments = ["--model", f"{__name__}.OwnModule", *SMALL[2:4], *SMALL[6:]]
    assert main(["fit", *arguments, "--trainer.fast_dev_run", "true"]) == 0


def test_too_few_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["fit", *SMALL, "--model.num_classes", "7"])
    assert exited.value.code == 2
    message = "num_classes=7, but ShapesDataModule has 8 classes. Add --model.num_classes 8."
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "ImageClasifier"), "ImageClasifier"),
        (("--model.learning_rate", "1"), "learning_rate"),
        (("--trainer.max_epochs", "many"), "max_epochs"),
        (("--config", "missing.yaml"), "missing.yaml"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["fit", *SMALL, *arguments])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def test_lightning_cli_answers_what_is_left_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (("--help-all",), "--trainer.accumulate_grad_batches"),
        (("--model.help", "ImageClassifier"), "--model.label_smoothing"),
        (("--data.help", "ShapesDataModule"), "--data.class_by"),
        (("--trainer.callbacks.help", "FullGradMonitor"), "--trainer.callbacks.residual_samples"),
        ((*SMALL, "--print_config"), "class_path: fullgrad_lightning.ShapesDataModule"),
    ):
        with pytest.raises(SystemExit) as exited:
            main(["fit", *arguments])
        assert exited.value.code in (0, None)
        assert words in capsys.readouterr().out


def image_folder(folder: Path) -> Path:
    """Two classes of noise, three pictures each."""
    generator = torch.Generator().manual_seed(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for i in range(3):
                noise = torch.randint(256, (3, 40, 50), dtype=torch.uint8, generator=generator)
                to_pil_image(noise).save(folder / split / name / f"{i}.png")
    return folder


def example_arguments(name: str, folder: Path) -> list[str]:
    """An example, made to run quickly and without a download."""
    arguments = ["--config", str(EXAMPLES / f"{name}.yaml"), "--data.num_workers", "0"]
    arguments += ["--data.batch_size", "4", "--trainer.accelerator", "cpu"]
    if name == "image_folder":
        data = str(image_folder(folder / "images"))
        return [*arguments, "--data.data_dir", data, "--data.size", "32", "--model.weights", "null"]
    if name == "fashion_mnist":
        if "FULLGRAD_DATA" not in os.environ:
            pytest.skip("FULLGRAD_DATA not set: Fashion-MNIST is expected in its fashion-mnist/")
        data = str(Path(os.environ["FULLGRAD_DATA"]) / "fashion-mnist")
        return [*arguments, "--data.data_dir", data, "--data.download", "false"]
    return arguments


OTHERS = ("roar_", "perturb_")  # of other commands, with tests of their own
TRAININGS = [p for p in sorted(EXAMPLES.glob("*.yaml")) if not p.stem.startswith(OTHERS)]


@pytest.mark.parametrize("path", TRAININGS, ids=lambda path: path.stem)
def test_examples_parse(path: Path) -> None:
    """Every class and option of an example exists; its head has the command that runs it."""
    assert f"fullgrad fit --config examples/{path.name}" in path.read_text()
    parsed = []

    class Parsed(TrainingCLI):
        def instantiate_classes(self) -> None:
            config = self.config["fit"]
            # Without the weights, which would be downloaded.
            if "weights" in config.model.init_args:
                config.model.init_args.weights = None
            super().instantiate_classes()
            parsed.append(self)

        def after_instantiate_classes(self) -> None:
            self.subcommand = None

    Parsed(["fit", "--config", str(path), "--trainer.accelerator", "cpu"])
    (cli,) = parsed
    assert isinstance(cli.model, ImageClassifier)
    assert any(isinstance(callback, FullGradMonitor) for callback in cli.trainer.callbacks)
    assert type(cli.trainer.logger).__name__ == "TensorBoardLogger"


@pytest.mark.parametrize("name", ["image_folder", "fashion_mnist"])
def test_examples_run(name: str, folder: Path) -> None:
    arguments = example_arguments(name, folder)
    batches = [f"--trainer.limit_{split}_batches=2" for split in ("train", "val")]
    assert main(["fit", *arguments, *batches, "--trainer.max_epochs", "1"]) == 0
    assert (folder / "runs" / name / "version_0" / "fullgrad" / "film_strip.png").is_file()


def test_data_that_is_not_there_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", "ImageClassifier", "--model.model", "vgg9", "--model.num_classes", "2"]
    data = ["--data", "ImageFolderDataModule", "--data.data_dir", str(tmp_path / "nowhere")]
    assert main(["fit", *model, *data, "--trainer.accelerator", "cpu"]) == 2
    assert "fullgrad fit: No images in" in capsys.readouterr().err
