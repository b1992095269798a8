"""What a user sees in TensorBoard after `fullgrad demo`, looked at with a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.chromium import CHROMIUM, Page, browser

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
)

# All elements of a page, those inside other elements' shadow trees too.
EVERYTHING = """
const everything = (root) => [...root.querySelectorAll('*')].flatMap(
    (e) => e.shadowRoot ? [e, ...everything(e.shadowRoot)] : [e]);
const found = {};
"""
# tag -> [natural width, natural height, width as shown] of each picture that is decoded
PICTURES = f"""(() => {{ {EVERYTHING}
for (const loader of everything(document).filter((e) => e.matches('tf-image-loader')))
    for (const img of everything(loader.shadowRoot).filter((e) => e.matches('img')))
        if (img.complete && img.naturalWidth > 0)
            found[loader.tag] = [img.naturalWidth, img.naturalHeight, img.clientWidth];
return found; }})()"""
# tag -> [number of points, width as drawn] of each curve
CURVES = f"""(() => {{ {EVERYTHING}
for (const card of everything(document).filter((e) => e.matches('tf-scalar-card')))
    for (const path of everything(card.shadowRoot).filter((e) => e.matches('path.line')))
        if (path.getAttribute('d'))
            found[card.tag] = [path.getAttribute('d').split(/[ML]/).length - 1,
                               path.getBoundingClientRect().width];
return found; }})()"""


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows a folder, on a port that was free."""
    command = (
        sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1",
        "--port", "0", "--samples_per_plugin", "images=100",
    )  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if address := re.search(r"http://127\.0\.0\.1:\d+/", line):
                yield address[0]
                break
        else:
            pytest.fail(f"TensorBoard did not start:\n{said}")
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, str]]:
    """A browser, and the address of the TensorBoard of a short demo."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "fullgrad_lightning.cli", "demo", "--fast", "--output", str(folder)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tensorboard(folder) as address, browser(tmp_path_factory.mktemp("profile")) as page:
        yield page, address


def test_images_page_shows_the_grid(page: tuple[Page, str], tmp_path: Path) -> None:
    window, address = page
    window.open(f"{address}#images")
    tags = {"fullgrad/samples", "fullgrad/film_strip"}
    pictures = window.wait_for(PICTURES, lambda found: tags <= set(found))
    window.screenshot(tmp_path / "images.png")
    width, height, shown = pictures["fullgrad/samples"]
    assert width == 700 and height > 300
    assert 300 < shown <= 350, "what the grid is laid out for"


def test_scalars_page_draws_the_residual(page: tuple[Page, str], tmp_path: Path) -> None:
    window, address = page
    window.open(f"{address}#scalars&tagFilter=residual")
    tag = "fullgrad/residual_mean"
    curves = window.wait_for(CURVES, lambda found: found.get(tag, [0, 0])[1] > 100)
    window.screenshot(tmp_path / "scalars.png")
    assert curves[tag][0] == 3, "before training, and after each of two epochs"
