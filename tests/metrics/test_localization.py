"""Localisation on maps whose answer is known, and against literal loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.metrics import (
    EnergyPointingGame,
    PointingGame,
    energy_inside,
    pointing_game,
)


def samples(n: int = 20) -> tuple[Tensor, Tensor]:
    """Signed maps (N, 1, 6, 7) and masks (N, 6, 7), some of them empty."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(n, 6, 7, generator=generator) < torch.rand(n, 1, 1, generator=generator)
    masks[::5] = False
    return torch.randn(n, 1, 6, 7, generator=generator), masks


def literal_hit(saliency: Tensor, mask: Tensor) -> bool:
    best, where = -math.inf, (0, 0)
    for i, row in enumerate(saliency.tolist()):
        for j, value in enumerate(row):
            if value > best:
                best, where = value, (i, j)
    return bool(mask[where])


def literal_energy(saliency: Tensor, mask: Tensor) -> float:
    inside = total = 0.0
    for value, marked in zip(saliency.flatten().tolist(), mask.flatten().tolist(), strict=True):
        total += max(value, 0.0)
        inside += max(value, 0.0) * marked
    return inside / total


def test_against_loops() -> None:
    maps, masks = samples()
    pairs = list(zip(maps[:, 0], masks, strict=True))
    hits, shares = [literal_hit(*pair) for pair in pairs], [literal_energy(*pair) for pair in pairs]
    assert 3 < sum(hits) < 17
    assert pointing_game(maps, masks).tolist() == hits
    assert energy_inside(maps, masks).tolist() == pytest.approx(shares, abs=1e-14)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.long, torch.float32])
@pytest.mark.parametrize("channel", [False, True])
def test_masks_of_any_kind(dtype: torch.dtype, channel: bool) -> None:
    maps, masks = samples()
    other = masks.to(dtype)[:, None] if channel else masks.to(dtype)
    assert torch.equal(pointing_game(maps, other), pointing_game(maps, masks))
    assert torch.equal(energy_inside(maps, other), energy_inside(maps, masks))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_maps_of_any_kind(dtype: torch.dtype) -> None:
    maps, masks = (10 * samples()[0]).round(), samples()[1]
    assert torch.equal(pointing_game(maps.to(dtype), masks), pointing_game(maps, masks))
    assert torch.equal(energy_inside(maps.to(dtype), masks), energy_inside(maps, masks))


def test_energy_of_known_maps() -> None:
    mask = torch.zeros(1, 4, 4)
    mask[:, :2, :2] = 1
    everywhere = torch.ones(1, 1, 4, 4)
    assert energy_inside(everywhere, mask).tolist() == [0.25]
    assert energy_inside(mask[:, None], mask).tolist() == [1]
    assert energy_inside(everywhere - mask, mask).tolist() == [0]
    assert energy_inside(mask[:, None] - 5 * (everywhere - mask), mask).tolist() == [1]
    for nothing_salient in (0 * everywhere, -everywhere):
        assert energy_inside(nothing_salient, mask).tolist() == [0]


def test_the_first_of_equal_maxima_counts() -> None:
    maps = torch.tensor([[[[0.0, 1.0], [1.0, 1.0]]]])
    assert pointing_game(maps, torch.tensor([[[0, 1], [0, 0]]])).tolist() == [True]
    assert pointing_game(maps, torch.tensor([[[0, 0], [1, 1]]])).tolist() == [False]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_not_finite_is_0(value: str) -> None:
    maps, masks = samples()
    broken = maps.clone()
    maps[..., 0], broken[..., 0] = 0, float(value)
    assert torch.equal(pointing_game(broken, masks), pointing_game(maps, masks))
    assert torch.equal(energy_inside(broken, masks), energy_inside(maps, masks))


@pytest.mark.parametrize(
    ("metric", "function"), [(PointingGame, pointing_game), (EnergyPointingGame, energy_inside)]
)
def test_empty_masks_are_left_out_of_the_mean(metric: type, function: object) -> None:
    maps, masks = samples()
    marked = masks.flatten(1).any(1)
    assert 0 < marked.sum() < len(masks)
    assert callable(function)
    expected = function(maps, masks)[marked].double().mean()
    mean = metric()
    for part in (slice(0, 3), slice(3, 4), slice(4, None)):
        mean.update(maps[part], masks[part])
    assert mean.compute().dtype == torch.float64
    assert float(mean.compute()) == pytest.approx(float(expected), abs=1e-14)
    mean.reset()
    mean.update(maps[~marked], masks[~marked])
    assert mean.compute().isnan()


@pytest.mark.parametrize("metric", [PointingGame, EnergyPointingGame])
@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        ((2, 8, 8), (2, 8, 8), r"maps must be \(N, 1, H, W\), got shape \(2, 8, 8\)"),
        ((2, 3, 8, 8), (2, 8, 8), r"maps must be \(N, 1, H, W\)"),
        ((2, 1, 8, 8), (2, 4, 4), r"masks must be \(2, 8, 8\) or \(2, 1, 8, 8\), .*\(2, 4, 4\)"),
        ((2, 1, 8, 8), (1, 8, 8), r"masks must be"),
        ((2, 1, 8, 8), (2, 3, 8, 8), r"masks must be"),
    ],
)
def test_errors(metric: type, maps: tuple[int, ...], masks: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric().update(torch.zeros(maps), torch.zeros(masks))


@pytest.mark.parametrize("values", [torch.rand(2, 8, 8), torch.full((2, 8, 8), 255)])
def test_masks_with_other_values(values: Tensor) -> None:
    with pytest.raises(ValueError, match=r"masks must be bool, or 0 .* Compare with a threshold"):
        pointing_game(torch.zeros(2, 1, 8, 8), values)
