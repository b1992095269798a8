"""``results.csv``: one row per cell."""

from __future__ import annotations

import csv
import io

from fullgrad_lightning.evaluation.roar.grid_state import CellState
from fullgrad_lightning.evaluation.roar.report.results import Results

MASKING = ("order", "remove", "fill", "mask_only")
COLUMNS = (
    "method", "fraction", "seed", *MASKING, "state", "test_accuracy", "test_loss", "epochs",
    "seconds_total", "seconds_training", "seconds_outside", "folder",
)  # fmt: skip


def csv_text(results: Results) -> str:
    """All cells as comma-separated values; what is not known yet is blank.

    ======================================= ===================================================
    column                                  what it is
    ======================================= ===================================================
    method, fraction, seed                  the labels; at fraction 0 the shared reference
    order, remove, fill, mask_only          how pixels were replaced; blank for the reference
    state                                   done, failed, running, interrupted or waiting
    test_accuracy, test_loss                of the last epoch; accuracy in 0…1
    epochs                                  trained
    seconds_total, _training, _outside      outside: start, imports, data
    folder                                  the cell's, below ``cells/``
    ======================================= ===================================================
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(cell, results) for cell in results.cells)
    return text.getvalue()


def _row(cell: CellState, results: Results) -> dict[str, object]:
    masking = results.maskings[cell.method] if cell.fraction else {}
    result = cell.result or {}
    seconds = result.get("seconds", {})
    return {
        "method": cell.method,
        "fraction": cell.fraction,
        "seed": cell.seed,
        **{key: masking.get(key) for key in MASKING},
        "state": cell.state,
        **{key: result.get(key) for key in ("test_accuracy", "test_loss", "epochs")},
        **{f"seconds_{key}": seconds.get(key) for key in ("total", "training", "outside")},
        "folder": cell.folder.name,
    }
