"""The frames of a film strip: few enough, spread over the whole training, the latest among them."""

from __future__ import annotations

import pytest
import torch

from fullgrad_lightning.callbacks.fullgrad_monitor.map_history import MOST_FRAMES, Film


@pytest.mark.parametrize("validations", [1, 2, 12, 13, 14, 25, 100, 301])
def test_frames_are_few_and_spread(validations: int) -> None:
    film = Film()
    for number in range(validations):
        film.add(torch.full((2, 1, 3, 3), float(number)), epoch=number, step=10 * number)
        assert film.numbers[0] == 0 and film.numbers[-1] == number  # the first and the latest
        assert len(film.frames) <= MOST_FRAMES
    assert film.count == validations
    assert film.epochs == film.numbers and film.steps == [10 * n for n in film.numbers]
    if validations <= MOST_FRAMES:
        assert film.numbers == list(range(validations))
    else:
        assert len(film.frames) > MOST_FRAMES // 2
    gaps = {b - a for a, b in zip(film.numbers[:-1], film.numbers[1:-1], strict=False)}
    assert gaps <= {film.stride}


def test_captions() -> None:
    film, frame = Film(), torch.rand(1, 1, 2, 2)
    film.add(frame, epoch=-1, step=0)
    film.add(frame, epoch=0, step=4)
    film.add(frame, epoch=1, step=9)
    assert film.captions() == ["before", "epoch 0", "epoch 1"]
    film.add(frame, epoch=1, step=12)
    assert film.captions() == ["before", "step 4", "step 9", "step 12"]


def test_frames_are_small_and_comparable() -> None:
    film = Film()
    maps = torch.rand(3, 1, 224, 100) * torch.tensor([1e-9, 1.0, 1e9]).view(3, 1, 1, 1)
    film.add(maps, 0, 0)
    (frame,) = film.frames
    assert frame.dtype == torch.float16 and frame.shape == (3, 1, 112, 50)
    assert (frame.amax((1, 2, 3)) > 0.5).all() and frame.max() <= 1
    film.add(torch.full((1, 1, 4, 4), torch.nan), 1, 1)
    film.add(torch.zeros(1, 1, 4, 4), 2, 2)
    assert not film.frames[1].any() and not film.frames[2].any()


def test_state_round_trip() -> None:
    film = Film()
    for number in range(14):
        film.add(torch.rand(1, 1, 2, 2), number, number)
    again = Film(**film.state())
    for each in (film, again):
        each.add(torch.zeros(1, 1, 2, 2), 14, 14)
    assert again.numbers == film.numbers and again.stride == film.stride
