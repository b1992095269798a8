"""The report of a grid, drawn from its ledger at any time, also half-way; imports no torch."""

from __future__ import annotations

import shlex
from pathlib import Path

from fullgrad_lightning.evaluation.reports.image_page import draw_page, png
from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.evaluation.roar.jobs import REPORT
from fullgrad_lightning.evaluation.roar.report.csv_rows import csv_text
from fullgrad_lightning.evaluation.roar.report.example_reader import gathered
from fullgrad_lightning.evaluation.roar.report.figures import small_png, write_curves
from fullgrad_lightning.evaluation.roar.report.progress import progress, timing
from fullgrad_lightning.evaluation.roar.report.results import Results
from fullgrad_lightning.evaluation.roar.report.tables import console, markdown
from fullgrad_lightning.evaluation.roar.report.tensorboard_export import (
    MOST_RUNS,
    PICTURES,
    export_tensorboard,
)
from fullgrad_lightning.utilities.files import atomic_write
from fullgrad_lightning.utilities.locks import folder_lock

__all__ = ["write_report"]

BOARD_TEXT = 20  # pixels: TensorBoard shows pictures at half their size
WAIT = 60.0  # seconds, for another process that writes the same report


def write_report(ledger: GridState) -> str:
    """Writes the report of a grid into its folder ``report/``, anew each time.

    ===================== ========================================================================
    file                  what it is
    ===================== ========================================================================
    results.csv           one row per cell: labels, accuracy, loss, seconds, state, folder
    table.md              mean, standard deviation, 95 % Student-t interval over seeds, area under
                          the curve, differences to ``random`` paired by seed
    accuracy.png, .svg    accuracy by fraction, with bands of 95 %
    masked_images.png     the same test images for each method and fraction; once there are some
    tensorboard/          the same for TensorBoard, and HParams
    ===================== ========================================================================

    What is not done yet is left blank, and told in the text.

    Args:
        ledger: Of the grid.

    Returns:
        The text to print: how far the grid is, the tables, where the files are.

    Raises:
        FolderInUse: Another process has been writing this report for a minute.
    """
    folder = ledger.folder / REPORT
    with folder_lock(folder, wait=WAIT):
        results = Results(ledger.cells())
        atomic_write(folder / "results.csv", csv_text(results))
        atomic_write(folder / "table.md", markdown(results))
        write_curves(results, folder)
        pictures = {"roar/accuracy": small_png(results)}
        page = folder / "masked_images.png"
        if (examples := gathered(results)) is None:
            page.unlink(missing_ok=True)
        else:
            atomic_write(page, png(draw_page(examples)))
            for i in range(len(examples.captions)):
                one = draw_page(examples.only(i), text=BOARD_TEXT)
                pictures[f"roar/masked_images/{i}"] = png(one)
        export_tensorboard(results, pictures, folder / "tensorboard")
    parts = [progress(results), console(results), timing(results), _where(folder, results)]
    return "\n\n".join(part for part in parts if part)


def _where(folder: Path, results: Results) -> str:
    """Where the files are, and how to see them in a browser."""
    lines = [
        f"Tables, curves and masked images are in {folder}. In a browser:",
        f"  tensorboard --logdir {shlex.quote(str(folder / 'tensorboard'))}",
    ]
    if sum(cell.result is not None for cell in results.cells) >= MOST_RUNS:
        lines.append(
            f'To see the pictures, tick the run "{PICTURES}": of so many, none is ticked at first.'
        )
    return "\n".join(lines)
