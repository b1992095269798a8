"""The canvas, and the names of the package, which are imported at their first use."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from types import FunctionType

import numpy as np
from PIL import Image

from fullgrad_lightning import visualization
from fullgrad_lightning.visualization.canvas import Canvas, Row, draw_rows


def test_panels_boxes_and_text() -> None:
    panel = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    canvas = Canvas(20, 10)
    canvas.paste(panel, 3, 2)
    canvas.box((12, 0, 19, 9), (1, 2, 3), (4, 5, 6))
    pixels = canvas.pixels
    assert (pixels[2:6, 3:9] == panel).all()
    assert (pixels[0, 12:] == (4, 5, 6)).all() and (pixels[1:9, 13:19] == (1, 2, 3)).all()
    assert (pixels[:, :3] == 255).all() and (pixels[6:, :12] == 255).all()
    stored = np.asarray(Image.open(BytesIO(canvas.to_png())))
    assert (stored == pixels).all()


def test_rows_of_different_heights() -> None:
    high, low = (np.full((height, 100, 3), height, np.uint8) for height in (60, 30))
    pixels = draw_rows([Row(panels=[high, high]), Row(panels=[low])], 2, 220).pixels
    assert pixels.shape == (6 + 60 + 8 + 30 + 6, 220, 3)
    assert (pixels[6:66, 6:106] == 60).all() and (pixels[6:66, 114:214] == 60).all()
    assert (pixels[74:104, 6:106] == 30).all() and (pixels[74:104, 106:] == 255).all()


def test_all_names_are_functions() -> None:
    assert visualization.__all__ and set(visualization.__all__) <= set(dir(visualization))
    for name in visualization.__all__:
        assert isinstance(getattr(visualization, name), FunctionType), name


def test_the_canvas_imports_no_torch() -> None:
    code = (
        "import sys; from fullgrad_lightning.visualization import canvas, display_name, fonts; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
