"""Film strips: validations side by side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.visualization import film_strip, overlay


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def as_bytes(picture: Tensor) -> Tensor:
    return (picture * 255).round().to(torch.uint8)


def test_columns_are_the_input_and_each_frame() -> None:
    images = noise(2, 3, 32, 32)
    frames = [noise(2, 1, 32, 32, seed=seed) for seed in (1, 2)]
    strip = film_strip(images, frames, ["epoch 0", "epoch 1"])
    assert strip.shape[2] == 700 and strip.dtype == torch.uint8
    inputs = images.repeat_interleave(7, 2).repeat_interleave(7, 3)
    for row, bottom in enumerate((-6 - 224 - 8, -6)):
        shown = [inputs, *(overlay(inputs, maps) for maps in frames)]
        for left, column in zip((6, 238, 470), shown, strict=True):
            panel = strip[:, bottom - 224 : bottom, left : left + 224]
            assert torch.equal(panel, as_bytes(column[row]))


def test_many_frames_make_it_wider_up_to_a_limit() -> None:
    images, maps = noise(1, 3, 32, 32), noise(1, 1, 32, 32)
    widths = {
        n: film_strip(images, [maps] * n, [f"epoch {i}" for i in range(n)]).shape[2]
        for n in (1, 4, 5, 12, 13, 100)
    }
    assert widths[1] == widths[4] == 700 and widths[5] == 6 * 112 + 5 * 8 + 12
    assert widths[12] == widths[13] == widths[100] == 13 * 112 + 12 * 8 + 12


def test_of_many_frames_the_first_the_last_and_some_between_are_shown() -> None:
    images = noise(1, 3, 32, 32)
    frames = [noise(1, 1, 32, 32, seed=seed) for seed in range(9)]
    captions = [f"epoch {i}" for i in range(9)]
    strip = film_strip(images, frames, captions, most=3)
    kept = [0, 4, 8]
    expected = film_strip(images, [frames[i] for i in kept], [captions[i] for i in kept])
    assert torch.equal(strip, expected)


def test_captions_and_titles_leave_the_panels_alone() -> None:
    images, frames = noise(1, 3, 32, 32), [noise(1, 1, 32, 32)] * 2
    one = film_strip(images, frames, ["epoch 0", "epoch 1"], ["cat"])
    other = film_strip(images, frames, ["step 10", "step 20"], ["dog"])
    changed = (one != other).any(0).any(1).nonzero().flatten()
    assert 0 < changed.max() < one.shape[1] - 6 - 224


@pytest.mark.parametrize(
    ("frames", "captions", "message"),
    [
        ([torch.zeros(2, 1, 8, 8)], [], "There must be 1 captions, one a frame, got 0"),
        ([], [], "There must be maps to draw"),
        ([torch.zeros(1, 1, 8, 8)], ["epoch 0"], r"The maps 'frame 0' must be \(2, 1, h, w\)"),
    ],
)
def test_errors(frames: list[Tensor], captions: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        film_strip(torch.zeros(2, 3, 8, 8), frames, captions)
