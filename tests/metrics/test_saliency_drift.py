"""Drift against SciPy's rank correlation, ties and constants included."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from fullgrad_lightning.metrics import SaliencyDrift, saliency_drift


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_scipy(maps: Tensor, previous: Tensor) -> list[float]:
    return [
        1 - spearmanr(now.flatten().double(), before.flatten().double()).statistic
        for now, before in zip(maps, previous, strict=True)
    ]


PAIRS = {
    "unrelated": (noise(3, 1, 9, 11), noise(3, 1, 9, 11, seed=1)),
    "related": (noise(3, 1, 9, 11), noise(3, 1, 9, 11) + 0.3 * noise(3, 1, 9, 11, seed=1)),
    "opposed": (noise(3, 1, 9, 11), noise(3, 1, 9, 11, seed=1) - noise(3, 1, 9, 11)),
    "few values": (noise(3, 1, 9, 11).round(), noise(3, 1, 9, 11, seed=1).mul(2).round()),
    "mostly zero": (noise(3, 1, 9, 11).sub(1).relu(), noise(3, 1, 9, 11, seed=1).relu()),
    "one pixel": (torch.eye(10)[None, None], noise(1, 1, 10, 10)),
    "float64": (noise(2, 1, 9, 11).double(), noise(2, 1, 9, 11, seed=1).double()),
    "bfloat16": (noise(2, 1, 9, 11).bfloat16(), noise(2, 1, 9, 11, seed=1).bfloat16()),
    "integers": (noise(2, 1, 9, 11).mul(9).int(), noise(2, 1, 9, 11, seed=1).mul(9).int()),
    "both zeros": (noise(2, 1, 9, 11) * torch.eye(11)[:9], noise(2, 1, 9, 11) * 0 + noise(11)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_like_scipy(name: str) -> None:
    maps, previous = PAIRS[name]
    found = saliency_drift(maps, previous)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(by_scipy(maps, previous), abs=1e-12)


def test_only_the_order_matters() -> None:
    maps = noise(4, 1, 9, 11)
    assert saliency_drift(maps, maps).tolist() == pytest.approx([0] * 4, abs=1e-14)
    assert saliency_drift(maps, 1e-30 * maps.double().exp()).max() < 1e-14
    assert saliency_drift(maps, -maps).tolist() == pytest.approx([2] * 4, abs=1e-14)


def test_constants() -> None:
    varied, constant = noise(1, 1, 9, 11), torch.full((1, 1, 9, 11), 3.0)
    assert saliency_drift(constant, 0 * constant).tolist() == [0]
    assert saliency_drift(varied, constant).tolist() == [1]
    assert saliency_drift(constant, varied).tolist() == [1]
    pixel = torch.ones(2, 1, 1, 1)
    assert saliency_drift(pixel, pixel).tolist() == [0, 0]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_not_finite_is_0(value: str) -> None:
    maps, broken = noise(1, 1, 9, 11), noise(1, 1, 9, 11)
    maps[..., 0, :5], broken[..., 0, :5] = 0, float(value)
    previous = noise(1, 1, 9, 11, seed=1)
    assert torch.equal(saliency_drift(broken, previous), saliency_drift(maps, previous))
    assert torch.equal(saliency_drift(previous, broken), saliency_drift(previous, maps))


def test_mean_over_samples() -> None:
    maps, previous = PAIRS["unrelated"]
    metric = SaliencyDrift()
    assert metric.update(maps[:2], previous[:2]) is None
    metric.update(maps[2:], previous[2:])
    metric.update(maps[:0], previous[:0])
    assert float(metric.compute()) == pytest.approx(sum(by_scipy(maps, previous)) / 3, abs=1e-12)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_sample() -> None:
    assert SaliencyDrift().compute().isnan()


@pytest.mark.parametrize(
    ("maps", "previous", "message"),
    [
        ((2, 8, 8), (2, 8, 8), r"maps must be \(N, 1, H, W\), got shape \(2, 8, 8\)"),
        ((2, 3, 8, 8), (2, 3, 8, 8), r"maps must be \(N, 1, H, W\), got shape \(2, 3, 8, 8\)"),
        ((2, 1, 0, 8), (2, 1, 0, 8), r"maps must be"),
        ((2, 1, 8, 8), (2, 1, 4, 4), r"previous must be \(2, 1, 8, 8\) like maps, got \(2, 1, 4"),
        ((2, 1, 8, 8), (1, 1, 8, 8), r"previous must be"),
    ],
)
def test_errors(maps: tuple[int, ...], previous: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SaliencyDrift().update(torch.zeros(maps), torch.zeros(previous))
