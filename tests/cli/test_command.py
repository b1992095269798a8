"""The command line before anything is run: help, version, and arguments that do not exist."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fullgrad_lightning.cli import COMMANDS, main
from fullgrad_lightning.cli.training import SUMMARIES

HELP = [
    ["--help"], ["-h"], ["--version"], *([command, "--help"] for command in COMMANDS),
    *(["roar", action, "--help"] for action in ("run", "status", "report")),
]  # fmt: skip


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_answers_without_torch_and_at_once(arguments: list[str]) -> None:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fullgrad_lightning.cli", *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines()[1:]}
    assert "argparse" in imported, "importtime lists what is imported"
    heavy = {"torch", "numpy", "torchvision", "pytorch_lightning", "matplotlib", "jsonargparse"}
    assert not imported & heavy
    assert done.stdout.strip()
    assert seconds < 2, "0.1 s, on a machine that does nothing else"


def test_the_installed_command_is_the_same() -> None:
    command = Path(sys.executable).parent / "fullgrad"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fullgrad_lightning 0.")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--help"])
    assert exited.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", SUMMARIES)
def test_help_of_training_names_what_lightning_cli_tells(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--config", "missing.yaml", "--help"])
    shown = capsys.readouterr().out
    for words in ("--config FILE", "--help-all", "--print_config", f"fullgrad {command} --config"):
        assert words in shown
    assert ("--ckpt_path last.ckpt" in shown) == (command != "fit")


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (
            "perturb",
            ["default: 0.01 0.03 0.05 0.07 0.1)", "runs/perturb)", "black (default)"],
        ),
        ("sanity", ["default: 16", "default: 8", "default: runs/sanity", "test (default)"]),
    ],
)
def test_help_shows_the_defaults_of_the_configuration(
    command: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert all(line in shown for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fti"], "no command 'fti'. Did you mean 'fit'?"),
        (["xyzzy"], "There are: demo, fit, validate, test, predict, perturb, sanity, roar."),
        (["--nothing"], "COMMAND"),
        (["demo", "--epochs", "0"], "must be 1 or more, got 0"),
        (["demo", "--nothing"], "unrecognized arguments: --nothing"),
        (["roar"], "required: ACTION"),
        (["roar", "run"], "required: -c/--config"),
        (["roar", "run", "--config", "a.yaml", "--jobs", "0"], "must be 1 or more, got 0"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "demo" in capsys.readouterr().err


def test_an_interrupt_leaves_no_traceback() -> None:
    # The interrupt comes while torch is imported, the longest wait before Lightning takes over.
    code = (
        "import sys, types\n"
        "from fullgrad_lightning.cli import main\n"
        "class Slow(types.ModuleType):\n"
        "    def __getattr__(self, name): raise KeyboardInterrupt\n"
        "sys.modules['torch'] = Slow('torch')\n"
        "sys.exit(main(['fit']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.strip() == "fullgrad: interrupted"
    assert os.linesep not in done.stderr.strip()
