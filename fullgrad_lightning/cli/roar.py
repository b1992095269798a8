"""``fullgrad roar run``, ``status`` and ``report``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from fullgrad_lightning.cli.options import positive_int
from fullgrad_lightning.evaluation.config import ConfigError
from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.utilities.locks import FolderInUse

_DESCRIPTION = """\
Remove and retrain (ROAR): a grid of saliency methods x fractions x seeds. Train a reference for
each seed, rank the pixels of all images with each method, and train again, from new random weights,
without the most salient ones. The lower the accuracy, the better the method ranked the pixels.
"""
_EXAMPLES = """\
examples:
  fullgrad roar run --config examples/roar_fashion_mnist.yaml --jobs 2
  fullgrad roar status runs/roar_fashion_mnist
  fullgrad roar report runs/roar_fashion_mnist
"""


def add_parser(commands: Any) -> None:
    """Adds the parser of the command."""
    parser = commands.add_parser(
        "roar",
        help="evaluate saliency methods by remove-and-retrain (ROAR)",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser(
        "run",
        help="run the cells of a grid that are not done, and report",
        description="Runs the cells of a grid that are not done, and reports. After a kill, Ctrl-C "
        "or a failure, run the same command: cells resume from the end of their last epoch.",
    )
    run.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="YAML file")
    run.add_argument(
        "--jobs",
        type=positive_int,
        help="number of concurrent processes (default: one for each GPU, or one)",
    )
    run.add_argument("--output", type=Path, metavar="DIR", help="replaces the file's output")
    for name, summary in (
        ("status", "show what is done, running, failed and waiting"),
        ("report", "draw tables, curves and masked images of what is done"),
    ):
        action = actions.add_parser(name, help=summary, description=summary.capitalize() + ".")
        action.add_argument("folder", type=Path, metavar="DIR", help="output of the grid")


def run(options: argparse.Namespace) -> int:
    """Runs ``fullgrad roar ACTION`` with the options of ``add_parser``.

    Returns:
        0; 1 if cells failed; 2 if the grid is wrong, missing or in use.
    """
    try:
        if options.action == "run":
            return _run_grid(options)
        state = GridState(options.folder)
        print(state.table() if options.action == "status" else _report(state))
    except (ConfigError, FileNotFoundError, FolderInUse) as error:
        print(f"fullgrad roar: {error}", file=sys.stderr)
        return 2
    return 0


def _run_grid(options: argparse.Namespace) -> int:
    from fullgrad_lightning.evaluation.roar.resolution import load_grid
    from fullgrad_lightning.evaluation.roar.scheduler import run_grid

    grid = load_grid(options.config, output=options.output)
    succeeded = run_grid(grid, jobs=options.jobs)
    state = GridState(grid.output)
    print(_report(state))
    if not succeeded:
        print(state.table(), file=sys.stderr)
    return 0 if succeeded else 1


def _report(state: GridState) -> str:
    from fullgrad_lightning.evaluation.roar.report import write_report

    return write_report(state)
