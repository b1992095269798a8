"""The report of a grid, written from its folder at any time; imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fullgrad_lightning.evaluation.reports.image_page import ImagePage, draw_page
from fullgrad_lightning.evaluation.reports.tables import percent
from fullgrad_lightning.evaluation.roar.grid_state import CellState, GridState
from fullgrad_lightning.evaluation.roar.jobs import EXAMPLES, REPORT
from fullgrad_lightning.evaluation.roar.report import tables
from fullgrad_lightning.evaluation.roar.report.figures import small_png, write_curves
from fullgrad_lightning.evaluation.roar.report.progress import format_progress, format_timing
from fullgrad_lightning.evaluation.roar.report.results import GridResults
from fullgrad_lightning.evaluation.roar.report.tensorboard_export import (
    MAX_SELECTED_RUNS,
    PICTURES,
    export_tensorboard,
)
from fullgrad_lightning.utilities.files import atomic_write
from fullgrad_lightning.utilities.locks import folder_lock
from fullgrad_lightning.visualization.canvas import Pixels

TENSORBOARD_TEXT_SIZE = 20  # pixels: TensorBoard shows pictures at half their size
WAIT = 60.0  # seconds, for another process that writes the same report


def write_report(grid: GridState) -> str:
    """Writes the report of a grid into its folder ``report/``, in place of an earlier one.

    ===================== ========================================================================
    file                  content
    ===================== ========================================================================
    results.csv           one row per cell: labels, accuracy, loss, seconds, state, folder
    table.md              mean, standard deviation, 95 % Student-t interval over seeds, area under
                          the curve, differences to ``random`` paired by seed
    accuracy.png, .svg    accuracy by fraction, with bands of 95 %
    masked_images.png     the same test images for each method and fraction; once there are some
    tensorboard/          the same for TensorBoard, and HParams
    ===================== ========================================================================

    Results of cells that are not done are left blank; the text has their number. Returns the text
    to print: the progress, the tables, the paths of the files.

    Raises:
        FolderInUse: Another process has been writing this report for a minute.
    """
    folder = grid.folder / REPORT
    with folder_lock(folder, wait=WAIT):
        results = GridResults(grid.cells())
        atomic_write(folder / "results.csv", tables.format_csv(results))
        atomic_write(folder / "table.md", tables.format_markdown(results))
        write_curves(results, folder)
        pictures = {"roar/accuracy": small_png(results)}
        page = folder / "masked_images.png"
        if (examples := read_examples(results)) is None:
            page.unlink(missing_ok=True)
        else:
            atomic_write(page, draw_page(examples).to_png())
            for i in range(len(examples.captions)):
                image = draw_page(examples.select(i), text_size=TENSORBOARD_TEXT_SIZE)
                pictures[f"roar/masked_images/{i}"] = image.to_png()
        export_tensorboard(results, pictures, folder / "tensorboard")
    texts = (format_progress, tables.format_console, format_timing)
    parts = [*(text(results) for text in texts), _format_paths(folder, results)]
    return "\n\n".join(filter(None, parts))


def read_examples(results: GridResults) -> ImagePage | None:
    """Reads the examples of each method's first seed that has some; ``None`` without any."""
    fractions = results.fractions(*results.methods)
    captions: list[str] = []
    rows = []
    for method in results.methods:
        cells = [results.references(method)]
        cells += [results.at(method, fraction) for fraction in fractions]
        contents = [_read_first(seeds) for seeds in cells]
        rows.append((results.heading(method), [images for images, _ in contents]))
        captions = captions or next((lines for _, lines in contents if lines), [])
    if not captions:
        return None
    return ImagePage(["reference", *map(percent, fractions)], rows, captions)


def _read_first(cells: Sequence[CellState]) -> tuple[Pixels | None, list[str]]:
    """Reads images and captions of the first cell that has the file."""
    for cell in cells:
        path = cell.folder / EXAMPLES
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                numbered = [f"class {label}" for label in file["labels"]]
                named = zip(file["indices"], file.get("names", numbered), strict=True)
                return file["images"], [f"test image {index}, {name}" for index, name in named]
    return None, []


def _format_paths(folder: Path, results: GridResults) -> str:
    """The paths of the files, and the command that shows them in a browser."""
    lines = [
        f"Tables, curves and masked images are in {folder}. In a browser:",
        f"  tensorboard --logdir {shlex.quote(str(folder / 'tensorboard'))}",
    ]
    if results.num_done >= MAX_SELECTED_RUNS:
        lines.append(
            f'To see the pictures, tick the run "{PICTURES}": if there are many, none is at first.'
        )
    return "\n".join(lines)
