"""The frames of a film strip: few enough, spread over the whole training, the latest among them."""

from __future__ import annotations

import pytest
import torch

from fullgrad_lightning.callbacks.fullgrad_monitor.state import MAX_FRAMES, MapHistory


@pytest.mark.parametrize("validations", [1, 2, 12, 13, 14, 25, 100, 301])
def test_frames_are_few_and_spread(validations: int) -> None:
    history = MapHistory()
    for number in range(validations):
        history.add(torch.full((2, 1, 3, 3), float(number)), epoch=number, step=10 * number)
        assert history.numbers[0] == 0 and history.numbers[-1] == number  # the first and the latest
        assert len(history.frames) <= MAX_FRAMES
    assert history.count == validations
    assert history.epochs == history.numbers and history.steps == [10 * n for n in history.numbers]
    if validations <= MAX_FRAMES:
        assert history.numbers == list(range(validations))
    else:
        assert len(history.frames) > MAX_FRAMES // 2
    gaps = {b - a for a, b in zip(history.numbers[:-1], history.numbers[1:-1], strict=False)}
    assert gaps <= {history.stride}


def test_captions() -> None:
    history, frame = MapHistory(), torch.rand(1, 1, 2, 2)
    history.add(frame, epoch=-1, step=0)
    history.add(frame, epoch=0, step=4)
    history.add(frame, epoch=1, step=9)
    assert history.captions() == ["before", "epoch 0", "epoch 1"]
    history.add(frame, epoch=1, step=12)
    assert history.captions() == ["before", "step 4", "step 9", "step 12"]


def test_frames_are_small_and_comparable() -> None:
    history = MapHistory()
    maps = torch.rand(3, 1, 224, 100) * torch.tensor([1e-9, 1.0, 1e9]).view(3, 1, 1, 1)
    history.add(maps, 0, 0)
    (frame,) = history.frames
    assert frame.dtype == torch.float16 and frame.shape == (3, 1, 112, 50)
    assert (frame.amax((1, 2, 3)) > 0.5).all() and frame.max() <= 1
    history.add(torch.full((1, 1, 4, 4), torch.nan), 1, 1)
    history.add(torch.zeros(1, 1, 4, 4), 2, 2)
    assert not history.frames[1].any() and not history.frames[2].any()


def test_state_round_trip() -> None:
    history = MapHistory()
    for number in range(14):
        history.add(torch.rand(1, 1, 2, 2), number, number)
    again = MapHistory(**history.state_dict())
    for each in (history, again):
        each.add(torch.zeros(1, 1, 2, 2), 14, 14)
    assert again.numbers == history.numbers and again.stride == history.stride
