"""Wrong benchmarks are refused before anything is computed, and other ones of the same folder."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from fullgrad_lightning.cli import main
from fullgrad_lightning.utilities.locks import folder_lock
from tests.evaluation.perturbation.perturbing import SmallNet, arguments

NETWORKS = "tests.evaluation.perturbation.perturbing"


def refused(output: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["perturb", *arguments(output, *more, methods=("random",))]) == 2
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    return shown


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--methods", "fulgrad"], "Did you mean 'fullgrad'?"),
        (["--methods={a: {method: smoothgrad, options: {samples: 3}}}"], "no option 'samples'"),
        (["--methods={a: {metod: smoothgrad}}"], "methods.a has no key 'metod'"),
        (["--methods", "random", "random"], "must be distinct"),
        (["--methods={}"], "methods is empty"),
        (["--split", "train"], "split must be one of 'val', 'test', 'predict', got 'train'"),
        (["--scores", "perturbtion"], "some of perturbation, insertion_deletion, road"),
        (["--fractions", "0.5", "0.2"], "in ascending order"),
        (["--steps", "0"], "steps must be an integer ≥ 1, got 0"),
        (["--samples", "15"], "There are 14 samples in the test split"),
        (["--mean", "0.5", "0.5", "0.5"], "mean and std must be given together"),
        (["--trainer.fast_dev_run", "true"], "trainer.fast_dev_run cannot be set"),
        (["--checkpoint", "no such.ckpt"], "no such.ckpt"),
        (["--target", "100"], "the model has 8 outputs"),
        (["--data.test_size", "0"], "test_size"),
    ],
)
def test_wrong(
    more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(tmp_path / "output", capsys, *more)
    assert not list((tmp_path / "output").rglob("*.npy")), "nothing was computed"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data.seed", "1"], "made_from.data is"),
        (["--seed", "1"], "made_from.seed is 0 in the store and 1 now"),
        (
            ["--fractions", "0.1", "0.4"],
            "made_from.fractions is [0.1, 0.3] in the store and [0.1, 0.4] now",
        ),
        (
            ["--model", f"{NETWORKS}.OtherNet"],
            "made_from.checkpoint is",
        ),
    ],
)
def test_another_benchmark_in_the_same_folder(
    more: list[str], message: str, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = refused(whole, capsys, *more)
    assert message in shown and "Give another" in shown


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole")
    assert main(["perturb", *arguments(output, methods=("random",))]) == 0
    return output


def test_arguments_that_do_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["--nothing", "1"], ["--model", "NoSuchNet"]):
        with pytest.raises(SystemExit) as exited:
            main(["perturb", *arguments(tmp_path, *more)])
        assert exited.value.code == 2
        assert more[-1] in capsys.readouterr().err or more[0] == "--nothing"


def test_data_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(
            [
                "perturb",
                "--model",
                f"{NETWORKS}.SmallNet",
                "--methods",
                "random",
            ]
        )
    assert "data" in capsys.readouterr().err


def test_weights_of_another_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.ckpt")
    shown = refused(tmp_path, capsys, "--checkpoint", str(tmp_path / "other.ckpt"))
    assert "do not fit SmallNet" in shown and "the options that it was trained with" in shown


class Untyped(SmallNet):
    """A user's network, its parameter without a type."""

    def __init__(self, num_classes) -> None:  # type: ignore[no-untyped-def]
        super().__init__()


def test_a_parameter_without_a_type_is_accepted(tmp_path: Path) -> None:
    words = ["--model", f"{__name__}.Untyped", "--model.num_classes", "8", "--samples", "2"]
    assert main(["perturb", *arguments(tmp_path, *words, methods=("random",))]) == 0


def test_a_folder_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with folder_lock(tmp_path):
        assert "is in use by process" in refused(tmp_path, capsys)


def test_an_unknown_option_of_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["perturb", *arguments(tmp_path, "--data.sise", "3")])
    shown = capsys.readouterr().err
    assert "Option 'sise' is not accepted" in shown
    assert "fullgrad fit --data.help fullgrad_lightning.ShapesDataModule" in shown


def test_random_weights_are_warned_of(tmp_path: Path) -> None:
    options = arguments(tmp_path, "--samples", "2", methods=("random",))
    with pytest.warns(UserWarning, match="No --checkpoint: SmallNet is explained with its initial"):
        main(["perturb", *options])
    torch.save(SmallNet().state_dict(), tmp_path / "weights.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert main(["perturb", *options, "--checkpoint", str(tmp_path / "weights.pt")]) == 0
    assert not [one for one in caught if "--checkpoint" in str(one.message)]
