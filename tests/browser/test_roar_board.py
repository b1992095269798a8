"""What a user sees in TensorBoard of the report of a grid, looked at with a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fullgrad_lightning.evaluation.roar.report import write_report
from tests.browser.chromium import CHROMIUM, browser
from tests.browser.test_tensorboard import EVERYTHING, PICTURES, tensorboard
from tests.evaluation.roar.report.grids import write

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
)

# The text of the cells of the table, one after the other.
TABLE = f"""(() => {{ {EVERYTHING}
return everything(document).filter((e) => e.matches('vaadin-grid-cell-content'))
    .map((e) => e.textContent.trim()).filter((text) => text); }})()"""


def test_hparams_and_images(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, 28, 28, 3), dtype=np.uint8)
    heights = {"reference": 0.875, "fullgrad": 0.75, "random": 0.625}
    grid = write(
        tmp_path, accuracy=lambda m, f, s: heights[m] - s / 16, images=lambda fraction: images
    )
    write_report(grid)
    with (
        tensorboard(tmp_path / "report" / "tensorboard") as address,
        browser(tmp_path / "profile") as window,
    ):
        window.open(f"{address}#hparams")
        table = window.wait_for(TABLE, lambda found: found.count("random") == 6)
        window.screenshot(tmp_path / "hparams.png")
        window.open("about:blank")
        window.open(f"{address}#images")
        tags = {"roar/accuracy", "roar/masked_images/0", "roar/masked_images/1"}
        pictures = window.wait_for(PICTURES, lambda found: tags <= set(found))
        window.screenshot(tmp_path / "images.png")
    assert {"fraction", "method", "seed", "test accuracy"} <= set(table)
    for cell in grid.cells():
        start = table.index(cell.folder.name)
        assert cell.result is not None
        assert table[start + 1 : start + 5] == [
            f"{cell.fraction:.5f}" if cell.fraction else "0.0000", cell.method, str(cell.seed),
            f"{cell.result['test_accuracy']:.5f}",
        ]  # fmt: skip
    assert pictures["roar/accuracy"][:2] == [700, 505]
    assert all(shown > 100 for _, _, shown in pictures.values())
