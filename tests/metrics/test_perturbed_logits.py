"""Checks, noise and per-sample curves that the metrics that replace pixels share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics import ROAD, InsertionDeletion, PixelPerturbation
from fullgrad_lightning.metrics.base import RankedPerturbationMetric
from fullgrad_lightning.metrics.functional.perturbed_logits import CLEAN, logits_for_selections
from tests.metrics.perturbing import network, samples

METRICS = [PixelPerturbation, InsertionDeletion, ROAD]


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_no_batch_is_larger_than_asked_for(batch_size: int) -> None:
    sizes = []

    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes.append(len(x))
            return x.sum((2, 3))

    images, ranks = samples()
    PixelPerturbation([0.1, 0.5], batch_size=batch_size).update(Counts(), images, ranks)
    assert max(sizes) == batch_size and sum(sizes) == 3 * len(images)


def test_noise_belongs_to_the_sample() -> None:
    images, ranks = samples()
    ids = torch.arange(7) + 40
    for name, metric in (("least", ROAD([0.5])), ("mean", PixelPerturbation(fill="noisy_linear"))):
        curve = f"{name}_probability" if name == "least" else name
        found = []
        for sample_ids in (ids, ids.tolist(), ids + 1, None):
            metric.reset()
            metric.update(network(), images, ranks, sample_ids=sample_ids)
            found.append(metric.compute()[curve])
        assert torch.equal(found[0], found[1])
        assert not torch.equal(found[0], found[2]) and not torch.equal(found[0], found[3])


def test_nothing_replaced_is_the_clean_image() -> None:
    (images, ranks), net = samples(), network().eval()
    with torch.no_grad():
        expected = net(images.clone())
    for fill in ("black", "blur", "noisy_linear"):
        found = logits_for_selections(net, images, ranks, [CLEAN], PixelReplacer(fill=fill))
        assert torch.equal(found[0], expected)


@pytest.mark.parametrize("metric", [PixelPerturbation(), InsertionDeletion(4), ROAD()])
def test_the_average_is_that_of_the_curves(metric: RankedPerturbationMetric) -> None:
    images, ranks = samples()
    curves = metric.curves(network(), images, ranks)
    assert {name: values.shape[1] for name, values in curves.items()} == metric.curve_sizes
    metric.update(network(), images, ranks)
    for name in metric.curve_sizes.keys() - {"output"}:
        averaged = metric.compute()["mean" if name == "least_salient" else name]
        torch.testing.assert_close(averaged, curves[name].double().mean(0))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_sample(metric: type) -> None:
    images, ranks = samples()
    nothing = metric()
    nothing.update(network(), images[:0], ranks[:0])
    found = nothing.compute()
    assert found["count"] == 0
    known = {"fractions", "count"}
    assert all(value.isnan().all() for name, value in found.items() if name not in known)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ranks": torch.rand(7, 6, 6)}, TypeError, "ranks must be integers.*Rank saliency maps"),
        ({"ranks": torch.zeros(7, 6, 6, dtype=torch.long)}, ValueError, r"permutation of 0…35"),
        ({"ranks": torch.full((7, 6, 6), 99)}, ValueError, "permutation of 0…35"),
        ({"ranks": torch.zeros(7, 36, dtype=torch.long)}, ValueError, r"ranks \(N, H, W\), got"),
        ({"images": torch.rand(3, 6, 6)}, ValueError, r"Images must be \(N, C, H, W\)"),
        ({"images": torch.ones(7, 3, 6, 6, dtype=torch.int32)}, TypeError, "floating point"),
        ({"model": nn.Identity()}, ValueError, r"return logits \(N, K\) with N=7, but it returned"),
        ({"target": 4}, ValueError, "Targets range from 4 to 4, but the model has 4 outputs, 0…3"),
        ({"target": torch.arange(3)}, ValueError, r"must have shape \(7,\)"),
        ({"target": len}, TypeError, "target must be None"),
        ({"sample_ids": [1, 2]}, ValueError, "7 images and 2 sample ids"),
    ],
)
@pytest.mark.parametrize("metric", METRICS)
def test_inputs(metric: type, change: dict[str, Any], error: type, message: str) -> None:
    images, ranks = samples()
    given = {"model": network(), "images": images, "ranks": ranks} | change
    with pytest.raises(error, match=message):
        metric().update(**given)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer ≥ 1, got 0"),
        ({"mean": [0.5]}, "mean and std must be given together"),
    ],
)
def test_options(metric: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(**options)


@pytest.mark.parametrize("metric", [PixelPerturbation, ROAD])
@pytest.mark.parametrize("fractions", [[], [0.0], [0.5, 0.1], [0.1, 0.1]])
def test_fractions(metric: type, fractions: list[float]) -> None:
    with pytest.raises(ValueError, match=r"fractions must be shares .* in ascending order"):
        metric(fractions)
    with pytest.raises(ValueError, match="a share of the pixels, 0…1"):
        metric([0.1, 1.5])


def test_options_of_one_metric() -> None:
    with pytest.raises(ValueError, match="order must be one of"):
        PixelPerturbation(order="random")
    with pytest.raises(ValueError, match=r"fill must be one of .*'grey'"):
        InsertionDeletion(insertion_fill="grey")
    with pytest.raises(ValueError, match="steps must be an integer ≥ 1, got 0"):
        InsertionDeletion(0)
