"""``fullgrad roar run``, ``status`` and ``report``."""

from __future__ import annotations

import argparse
import sys

from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.utilities.locks import FolderInUse


def roar(options: argparse.Namespace) -> int:
    """Runs ``fullgrad roar ACTION``.

    Args:
        options: ``action`` and its own, see ``parser``.

    Returns:
        0; 1 if cells failed; 2 if the grid is wrong, missing or in use.
    """
    try:
        if options.action == "run":
            return _run(options)
        ledger = GridState(options.folder)
    except (FileNotFoundError, FolderInUse) as error:
        return _refused(error)
    print(ledger.table() if options.action == "status" else _report(ledger))
    return 0


def _run(options: argparse.Namespace) -> int:
    from fullgrad_lightning.evaluation.roar.components import load_grid
    from fullgrad_lightning.evaluation.roar.config import ConfigError
    from fullgrad_lightning.evaluation.roar.scheduler import run_grid

    try:
        grid = load_grid(options.config, output=options.output)
        well = run_grid(grid, jobs=options.jobs)
    except ConfigError as error:
        return _refused(error)
    ledger = GridState(grid.output)
    print(_report(ledger))
    if not well:
        print(ledger.table(), file=sys.stderr)
    return 0 if well else 1


def _report(ledger: GridState) -> str:
    from fullgrad_lightning.evaluation.roar.report import write_report

    return write_report(ledger)


def _refused(error: Exception) -> int:
    print(f"fullgrad roar: {error}", file=sys.stderr)
    return 2
