"""masked_images.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fullgrad_lightning.evaluation.reports.image_page import BLANK, draw_page
from fullgrad_lightning.evaluation.roar.report import read_examples
from fullgrad_lightning.evaluation.roar.report.results import GridResults
from tests.evaluation.roar.report.grids import cells


def coloured(fraction: float, size: tuple[int, int] = (28, 28), count: int = 2) -> np.ndarray:
    """Images of one colour, which encodes the fraction and the number of the image."""
    images = np.zeros((count, *size, 3), np.uint8)
    images[..., 0] = round(200 * fraction)
    images[..., 1] = 90 + 50 * np.arange(count)[:, None, None]
    images[..., 2] = 77
    return images


def side_by_side(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, float, float]:
    """Returns the number of pixels of a colour, and their mean row and column."""
    rows, columns = np.nonzero((picture == colour).all(-1))
    return len(rows), float(rows.mean()), float(columns.mean())


def test_examples_by_method_and_fraction(tmp_path: Path) -> None:
    examples = read_examples(GridResults(cells(tmp_path, images=coloured)))
    assert examples is not None
    assert examples.columns == ["reference", "10 %", "50 %"]
    assert examples.captions == ["test image 0, class 0", "test image 7, class 1"]
    for _, panels in examples.rows:
        reds = [images[0, 0, 0, 0] for images in panels if images is not None]
        assert reds == [0, 20, 100]


def test_panels_stand_where_their_fractions_are(tmp_path: Path) -> None:
    examples = read_examples(GridResults(cells(tmp_path, images=coloured)))
    assert examples is not None
    picture = draw_page(examples).pixels
    places = [side_by_side(picture, (red, 90, 77)) for red in (0, 20, 100)]
    for count, row, _ in places:
        assert count == 2 * 84 * 84, "two methods, 28 pixels enlarged three times"
        assert row == places[0][1]
    assert places[0][2] < places[1][2] < places[2][2]
    assert side_by_side(picture, (0, 140, 77))[2] > places[2][2], "the other image is beside"


def test_missing_cells_are_blank(tmp_path: Path) -> None:
    def half(method: str, fraction: float, seed: int) -> float | None:
        return None if (method, fraction) == ("random", 0.5) else 0.5

    examples = read_examples(GridResults(cells(tmp_path, accuracy=half, images=coloured)))
    assert examples is not None and dict(examples.rows)["Random"][2] is None
    picture = draw_page(examples).pixels
    count, row, column = side_by_side(picture, (100, 90, 77))
    assert count == 84 * 84, "there is one in the row above"
    below = picture[round(row) + 88 - 40 : round(row) + 88 + 40, round(column)]
    assert (below == BLANK).all()


def test_the_first_seed_that_has_examples_is_shown(tmp_path: Path) -> None:
    results = GridResults(
        cells(tmp_path, accuracy=lambda m, f, s: 0.5 if s == 2 else None, images=coloured)
    )
    examples = read_examples(results)
    assert examples is not None
    assert all(images is not None for _, panels in examples.rows for images in panels)


@pytest.mark.parametrize(
    ("size", "panel"), [((28, 28), (84, 84)), ((32, 32), (96, 96)), ((224, 224), (128, 128)),
                        ((64, 32), (128, 64)), ((100, 300), (43, 128))]
)  # fmt: skip
def test_panels_keep_the_shape_of_images(
    tmp_path: Path, size: tuple[int, int], panel: tuple[int, int]
) -> None:
    results = GridResults(
        cells(tmp_path, ["x" * 200], seeds=[0], images=lambda f: coloured(f, size, count=1))
    )
    examples = read_examples(results)
    assert examples is not None
    picture = draw_page(examples).pixels
    assert side_by_side(picture, (20, 90, 77))[0] == panel[0] * panel[1]


def test_enlarged_pixels_are_squares(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1, 28, 28, 3), dtype=np.uint8)
    examples = read_examples(
        GridResults(cells(tmp_path, ["a"], [0.5], [0], images=lambda _: pixels))
    )
    assert examples is not None
    picture = draw_page(examples).pixels
    expected = pixels[0].repeat(3, 0).repeat(3, 1)
    windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (84, 84))
    corners = np.argwhere((windows[:, :, ::30, ::30] == expected[::30, ::30, 0]).all((2, 3)))
    exact = [(picture[y : y + 84, x : x + 84] == expected).all() for y, x in corners]
    assert sum(exact) == 2, "the reference and the one fraction"


def test_one_image_alone(tmp_path: Path) -> None:
    examples = read_examples(GridResults(cells(tmp_path, images=coloured)))
    assert examples is not None
    picture = draw_page(examples.select(1), text_size=20).pixels
    assert side_by_side(picture, (100, 140, 77))[0] == 2 * 84 * 84
    assert not (picture == (100, 90, 77)).all(-1).any()


def test_no_examples_no_page(tmp_path: Path) -> None:
    assert read_examples(GridResults(cells(tmp_path))) is None


def test_captions_name_the_classes_where_they_are_known(tmp_path: Path) -> None:
    grid_cells = cells(tmp_path, images=coloured)
    for path in tmp_path.rglob("examples.npz"):
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        np.savez(path, names=np.array(["dog", "cat"]), **arrays)
    examples = read_examples(GridResults(grid_cells))
    assert examples is not None
    assert examples.captions == ["test image 0, dog", "test image 7, cat"]
