"""Insertion and deletion against literal loops."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.masking.fills import fill_pixels
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics import InsertionDeletion, insertion_deletion
from tests.metrics.perturbing import MEAN, PIXELS, STD, network, samples, says, without

STEPS = 5


def literal(labels: list[int] | None = None) -> tuple[list[list[float]], list[list[float]]]:
    """Probabilities by sample and step: inserted into a blur, deleted to normalised black."""
    net, (images, ranks) = network(), samples()
    inserted, deleted = [], []
    for n, (image, its) in enumerate(zip(images, ranks, strict=True)):
        label = int(says(net, image).argmax()) if labels is None else labels[n]
        everywhere = torch.ones(1, *its.shape, dtype=torch.bool)
        blurred = fill_pixels(image[None], everywhere, "blur", sample_ids=[0])[0]
        grows, shrinks = [], []
        for step in range(STEPS + 1):
            k = round(step / STEPS * PIXELS)
            grown = torch.where(its < k, image, blurred)
            shrunk = without(image, its, lambda rank, k=k: rank < k, lambda c: -MEAN[c] / STD[c])
            grows.append(float(says(net, grown).softmax(0)[label]))
            shrinks.append(float(says(net, shrunk).softmax(0)[label]))
        inserted.append(grows)
        deleted.append(shrinks)
    return inserted, deleted


def area(curve: list[float]) -> float:
    return sum((a + b) / 2 for a, b in pairwise(curve)) / STEPS


@pytest.mark.parametrize("labels", [None, [0, 1, 2, 3, 0, 1, 2]])
def test_against_loops(labels: list[int] | None) -> None:
    images, ranks = samples()
    # A blur is linear and keeps constants: before or after normalisation, it is the same.
    found = insertion_deletion(
        network(), images, ranks, steps=STEPS,
        insert_into=PixelReplacer(fill="blur", mean=MEAN, std=STD),
        delete_to=PixelReplacer(mean=MEAN, std=STD),
        target=None if labels is None else torch.tensor(labels), batch_size=3,
    )  # fmt: skip
    inserted, deleted = literal(labels)
    assert found.fractions.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    for got, expected in ((found.insertion, inserted), (found.deletion, deleted)):
        for row, by_hand in zip(got.tolist(), expected, strict=True):
            assert row == pytest.approx(by_hand, rel=1e-11)
    assert found.insertion_auc.tolist() == pytest.approx([area(c) for c in inserted], rel=1e-11)
    assert found.deletion_auc.tolist() == pytest.approx([area(c) for c in deleted], rel=1e-11)
    assert torch.equal(found.insertion[:, -1], found.deletion[:, 0])  # the clean image


def test_mean_curves() -> None:
    metric = InsertionDeletion(STEPS, mean=MEAN, std=STD, batch_size=4)
    images, ranks = samples()
    for part in (slice(0, 5), slice(5, 7)):
        metric.update(network(), images[part], ranks[part])
    found, curves = metric.compute(), literal()
    assert found["count"] == 7
    for name, rows in zip(("insertion", "deletion"), curves, strict=True):
        columns = zip(*rows, strict=True)
        assert found[name].tolist() == pytest.approx([mean(c) for c in columns], rel=1e-11)
        assert float(found[f"{name}_auc"]) == pytest.approx(mean(map(area, rows)), rel=1e-11)


def test_the_right_order_beats_the_wrong_one() -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([9 * x[:, 0, 0, 0], 0 * x[:, 0, 0, 0]], 1)

    right = torch.arange(PIXELS).view(1, 6, 6)
    found = []
    for ranks in (right, PIXELS - 1 - right):
        metric = InsertionDeletion(PIXELS, insertion_fill="black")
        metric.update(Corner(), torch.ones(1, 1, 6, 6), ranks)
        found.append(metric.compute())
    one, other = found
    assert one["insertion_auc"] > 0.98 and other["insertion_auc"] < 0.52
    assert one["deletion_auc"] < 0.52 and other["deletion_auc"] > 0.98


@pytest.mark.parametrize("sign", [1, -1])
def test_a_single_logit_stands_for_two_classes(sign: int) -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum((1, 2, 3))[:, None]

    x, ranks = sign * torch.tensor([[[[2.0, 1.0]]]]), torch.tensor([[[0, 1]]])
    found = insertion_deletion(Sum(), x, ranks, steps=2).deletion[0]
    expected = torch.tensor([3.0, 1.0, 0.0]).sigmoid()  # of the side on which the clean image is
    assert found.tolist() == pytest.approx(expected.tolist())
