"""Pixel perturbation against literal loops, and where it has no answer."""

from __future__ import annotations

import copy
import math
import pickle
from statistics import mean, stdev

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.masking.options import Order
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics import PixelPerturbation, pixel_perturbation
from tests.metrics.perturbing import MEAN, PIXELS, STD, network, samples, says, without

FRACTIONS = (0.0, 0.1, 0.4, 1.0)


def literal(order: Order, normalised: bool) -> list[list[float]]:
    """|f(x′) − f(x)| / |f(x)| by sample and fraction."""
    net, (images, ranks) = network(), samples()
    rows = []
    for image, its in zip(images, ranks, strict=True):
        clean = says(net, image).tolist()
        top = max(range(len(clean)), key=clean.__getitem__)
        row = []
        for fraction in FRACTIONS:
            k = round(fraction * PIXELS)
            first = 0 if order == "most_salient" else PIXELS - k
            altered = without(
                image,
                its,
                lambda rank, first=first, k=k: first <= rank < first + k,
                lambda channel: -MEAN[channel] / STD[channel] if normalised else 0.0,
            )
            row.append(abs(float(says(net, altered)[top]) - clean[top]) / abs(clean[top]))
        rows.append(row)
    return rows


@pytest.mark.parametrize("order", ["least_salient", "most_salient"])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_against_loops(order: Order, normalised: bool, batch_size: int) -> None:
    images, ranks = samples()
    black = PixelReplacer(mean=MEAN, std=STD) if normalised else PixelReplacer()
    found = pixel_perturbation(
        network(), images, ranks, FRACTIONS,
        order=order, replacement=black, batch_size=batch_size,
    )  # fmt: skip
    expected = literal(order, normalised)
    assert found.change.dtype == torch.float64
    for row, by_hand in zip(found.change.tolist(), expected, strict=True):
        assert row == pytest.approx(by_hand, rel=1e-12, abs=1e-13)
    assert not found.change[:, 0].any() and (found.change[:, 1:] > 0).all()
    tops = [float(says(network(), image).max()) for image in images]
    assert found.output.tolist() == pytest.approx(tops, rel=1e-12)


@pytest.mark.parametrize("order", ["least_salient", "most_salient"])
def test_mean_deviation_and_area(order: Order) -> None:
    metric = PixelPerturbation(FRACTIONS[1:], order=order, mean=MEAN, std=STD, batch_size=3)
    images, ranks = samples()
    for part in (slice(0, 4), slice(4, 4), slice(4, 7)):
        metric.update(network(), images[part], ranks[part])
    columns = list(zip(*literal(order, True), strict=True))[1:]
    means = [mean(column) for column in columns]
    found = metric.compute()
    assert found["fractions"].tolist() == list(FRACTIONS[1:]) and found["count"] == 7
    assert found["mean"].tolist() == pytest.approx(means, rel=1e-12)
    assert found["std"].tolist() == pytest.approx([stdev(c) for c in columns], rel=1e-9)
    area = 0.1 * means[0] / 2 + 0.3 * (means[0] + means[1]) / 2 + 0.6 * (means[1] + means[2]) / 2
    assert float(found["auc"]) == pytest.approx(area, rel=1e-12)
    scalars = metric.scalars("val")
    assert list(scalars) == ["val/0.1", "val/0.4", "val/1", "val/auc"]
    assert [float(value) for value in scalars.values()] == [*found["mean"], found["auc"]]


def test_the_area_is_a_mean_height_from_0_to_the_last_fraction() -> None:
    class Brightness(nn.Module):  # of ten pixels: f falls by k when k of them are black
        def forward(self, x: Tensor) -> Tensor:
            return x.sum((2, 3))

    metric = PixelPerturbation([0.2, 0.6])
    metric.update(Brightness(), torch.ones(1, 1, 2, 5), torch.arange(10).view(1, 2, 5))
    assert metric.compute()["mean"].tolist() == pytest.approx([0.2, 0.6])
    assert float(metric.compute()["auc"]) == pytest.approx(0.3)  # a straight line to 0.6


def test_the_class_is_that_of_the_clean_image_or_the_target() -> None:
    class Flips(nn.Module):  # class 0 on bright images, class 1 on dark ones
        def forward(self, x: Tensor) -> Tensor:
            light = x.mean((1, 2, 3))
            return torch.stack([10 * light, 4 - light], 1)

    images, ranks = torch.ones(2, 1, 2, 2), torch.arange(4).view(1, 2, 2).repeat(2, 1, 1)
    assert pixel_perturbation(Flips(), images, ranks, [1.0]).change.tolist() == [[1.0], [1.0]]
    for target, expected in ((1, [1 / 3, 1 / 3]), (torch.tensor([0, 1]), [1.0, 1 / 3])):
        found = pixel_perturbation(Flips(), images, ranks, [1.0], target=target).change
        assert found[:, 0].tolist() == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_outputs_that_are_0_are_left_out() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum((1, 2, 3))[:, None]

    images = torch.tensor([[1.0, -1.0], [-3.0, -1.0], [0.0, 0.0]]).view(3, 1, 1, 2)
    ranks = torch.tensor([0, 1]).view(1, 1, 2).repeat(3, 1, 1)
    found = pixel_perturbation(Sum(), images, ranks, [0.5])
    assert found.output.tolist() == [0, -4, 0]
    assert found.change[1].tolist() == [0.25] and found.change[::2].isnan().all()
    metric = PixelPerturbation([0.5])
    metric.update(Sum(), images[::2], ranks[::2])
    nothing = metric.compute()
    assert nothing["count"] == 0 and nothing["mean"].isnan().all() and nothing["auc"].isnan()
    metric.update(Sum(), images, ranks)
    found = metric.compute()
    assert found["count"] == 1 and float(found["mean"]) == 0.25 and found["std"].isnan()
    assert {name: float(value) for name, value in metric.scalars().items()} == {
        "perturbation/0.5": 0.25, "perturbation/auc": 0.125,
    }  # fmt: skip


def test_outputs_that_are_not_finite_stay_visible() -> None:
    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x / x).sum((2, 3))

    metric = PixelPerturbation([0.5, 1.0])
    metric.update(Breaks(), torch.ones(2, 1, 1, 2), torch.tensor([[[0, 1]], [[1, 0]]]))
    assert metric.compute()["mean"].isnan().all() and metric.compute()["count"] == 2


@pytest.mark.parametrize("train", [True, False])
def test_the_network_is_left_as_it_was(train: bool) -> None:
    net, (images, ranks) = network().train(train), samples()
    net[3].eval()
    weights, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    random, before = torch.get_rng_state(), images.clone()
    PixelPerturbation(FRACTIONS).update(net, images, ranks)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(weights[key], value) for key, value in net.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random) and torch.equal(images, before)


def test_in_inference_mode() -> None:
    images, ranks = samples()
    with torch.inference_mode():
        metric = PixelPerturbation(FRACTIONS)
        metric.update(network(), images.clone(), ranks.clone())
        found = metric.compute()["mean"]
    expected = [mean(column) for column in zip(*literal("least_salient", False), strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_a_metric_holds_no_network() -> None:
    metric, (images, ranks) = PixelPerturbation(FRACTIONS), samples()
    metric.update(network(), images, ranks)
    assert not list(metric.parameters()) and len(list(metric.modules())) == 1
    again = pickle.loads(pickle.dumps(metric))
    assert torch.equal(again.compute()["mean"], metric.compute()["mean"])
    metric.reset()
    assert metric.count == 0 and not math.isnan(float(metric.total.sum()))
