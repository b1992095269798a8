"""Class flipping against closed forms of linear networks and literal loops."""

from __future__ import annotations

from statistics import mean, stdev

import pytest
import torch
from torch import Tensor, nn

import fullgrad_lightning as fgl
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics import ClassFlipping, class_flipping
from tests.metrics.perturbing import (
    CLASSES,
    MEAN,
    PIXELS,
    SIDE,
    STD,
    evidence_of,
    network,
    samples,
    says,
)

FRACTIONS = (0.0, 0.1, 0.4, 1.0)
A, B = [0, 1, 2, 3, 0, 1, 2], [1, 3, 0, 2, 3, 0, 1]


def literal(normalised: bool) -> dict[str, list[list[float]]]:
    """Change, flipped and removed by sample and fraction, pixel by pixel."""
    net, (images, _) = network(), samples()
    found: dict[str, list[list[float]]] = {"change": [], "flipped": [], "removed": []}
    for image, its, a, b in zip(images, evidence_of(), A, B, strict=True):
        clean = says(net, image).tolist()
        pixels = [(float(its[i, j]), i, j) for i in range(SIDE) for j in range(SIDE)]
        pixels.sort(reverse=True)
        for row in found.values():
            row.append([])
        for fraction in FRACTIONS:
            altered, removed = image.clone(), 0
            for value, i, j in pixels:
                if value > 0 and removed < round(fraction * PIXELS):
                    for channel in range(3):
                        black = -MEAN[channel] / STD[channel] if normalised else 0.0
                        altered[channel, i, j] = black
                    removed += 1
            logits = says(net, altered).tolist()
            change = (clean[a] - clean[b]) - (logits[a] - logits[b])
            found["change"][-1].append(change)
            found["flipped"][-1].append(float(logits[b] > logits[a]))
            found["removed"][-1].append(removed / PIXELS)
    return found


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("batch_size", [2, 64])
@pytest.mark.parametrize("channel", [False, True])
def test_against_loops(normalised: bool, batch_size: int, channel: bool) -> None:
    images, evidence = samples()[0], evidence_of()
    black = PixelReplacer(mean=MEAN, std=STD) if normalised else PixelReplacer()
    found = class_flipping(
        network(), images, evidence[:, None] if channel else evidence, FRACTIONS,
        original=torch.tensor(A), target=torch.tensor(B), replacement=black, batch_size=batch_size,
    )  # fmt: skip
    expected = literal(normalised)
    assert found.change.dtype == found.log_odds.dtype == found.removed.dtype == torch.float64
    assert found.flipped.dtype == torch.bool
    for name in ("change", "removed"):
        for row, by_hand in zip(getattr(found, name).tolist(), expected[name], strict=True):
            assert row == pytest.approx(by_hand, rel=1e-12, abs=1e-13)
    assert found.flipped.double().tolist() == expected["flipped"]
    logits = torch.stack([says(network(), image) for image in images])
    odds = logits[range(7), A] - logits[range(7), B]
    assert found.log_odds.tolist() == pytest.approx(odds.tolist(), rel=1e-12)
    few = found.removed[:, -1]  # samples differ in how many pixels they may lose
    assert not found.change[:, 0].any() and few.min() < 0.1 and few.max() > 0.7


def test_means_and_deviations() -> None:
    metric = ClassFlipping(FRACTIONS, mean=MEAN, std=STD, batch_size=3)
    images, evidence = samples()[0], evidence_of()
    for part in (slice(0, 4), slice(4, 4), slice(4, 7)):
        metric.update(
            network(), images[part], evidence[part],
            original=torch.tensor(A[part], dtype=torch.long),
            target=torch.tensor(B[part], dtype=torch.long),
        )  # fmt: skip
    found = metric.compute()
    columns = {k: list(zip(*rows, strict=True)) for k, rows in literal(True).items()}
    assert found["fractions"].tolist() == list(FRACTIONS) and found["count"] == 7
    for ours, theirs in (("mean", "change"), ("flipped", "flipped"), ("removed", "removed")):
        assert found[ours].tolist() == pytest.approx([mean(c) for c in columns[theirs]], rel=1e-12)
    deviations = [stdev(column) for column in columns["change"]]
    assert found["std"].tolist() == pytest.approx(deviations, rel=1e-9)
    assert 0 < found["flipped"][-1] < 1


def linear(weights: Tensor, biases: Tensor) -> nn.Sequential:
    layer = nn.Linear(weights.shape[1], len(weights), dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weights), layer.bias.copy_(biases)
    return nn.Sequential(nn.Flatten(), layer)


def random_linear() -> tuple[nn.Sequential, Tensor, Tensor]:
    """A linear network, its weights (K, 3, H, W), images (5, 3, H, W)."""
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(CLASSES, 3 * PIXELS, generator=generator, dtype=torch.float64)
    biases = torch.randn(CLASSES, generator=generator, dtype=torch.float64)
    images = torch.randn(5, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return linear(weights, biases), weights.view(CLASSES, 3, SIDE, SIDE), images


def test_of_a_linear_network_the_change_is_the_evidence_removed() -> None:
    net, weights, images = random_linear()
    black = -torch.tensor(MEAN).double() / torch.tensor(STD).double()
    evidence = ((weights[2] - weights[0]) * (images - black[:, None, None])).sum(1)
    metric = ClassFlipping([0.25, 1.0], mean=MEAN, std=STD)
    metric.update(net, images, evidence, original=2, target=0)
    positive = evidence.flatten(1).clamp(min=0)
    strongest = positive.topk(9).values.sum(1)  # a quarter of 36, the best that a quarter can do
    found = metric.compute()
    assert found["mean"].tolist() == pytest.approx(
        [float(strongest.mean()), float(positive.sum(1).mean())], rel=1e-12
    )
    assert found["removed"].tolist() == pytest.approx([0.25, float((positive > 0).double().mean())])


def test_signed_maps_of_two_logits_are_that_of_their_difference() -> None:
    images, a, b = samples()[0], torch.tensor(A), torch.tensor(B)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        net = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.SiLU(), nn.MaxPool2d(2),
            nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(54, CLASSES),
        ).double()  # fmt: skip
    rows = torch.arange(7)

    def difference(logits: Tensor) -> Tensor:
        return logits[rows, a] - logits[rows, b]

    def score(evidence: Tensor) -> Tensor:
        return class_flipping(net, images, evidence, [0.1, 0.3], original=a, target=b).change

    signed = fgl.FullGrad("signed")
    evidence = signed(net, images, a) - signed(net, images, b)
    at_once = signed(net, images, difference)
    assert torch.allclose(evidence, at_once, rtol=1e-10, atol=1e-12)
    assert torch.equal(score(evidence), score(at_once))
    paper = fgl.FullGrad("paper")  # for which this does not hold
    assert not torch.allclose(
        paper(net, images, a) - paper(net, images, b), paper(net, images, difference), rtol=0.1
    )


def test_a_linear_network_is_flipped_by_signed_fullgrad() -> None:
    net, weights, images = random_linear()
    evidence = fgl.FullGrad("signed")(net, images, 1) - fgl.FullGrad("signed")(net, images, 3)
    found = class_flipping(net, images, evidence, [1.0], original=1, target=3)
    removed = ((weights[1] - weights[3]) * images).sum(1).flatten(1).clamp(min=0).sum(1)
    assert found.change[:, 0].tolist() == pytest.approx(removed.tolist(), rel=1e-12)
    assert found.flipped.all()  # all that is left speaks for 3


def test_without_positive_evidence_nothing_is_removed() -> None:
    images, evidence = samples()[0], evidence_of().abs().neg()
    evidence[3] = -0.0
    found = class_flipping(
        network(), images, evidence, [0.5], original=torch.tensor(A), target=torch.tensor(B)
    )
    assert not found.change.any() and not found.removed.any()
    assert found.flipped[:, 0].tolist() == (found.log_odds < 0).tolist()


def test_which_classes() -> None:
    images, evidence = samples()[0], evidence_of()
    tops = torch.stack([says(network(), image) for image in images]).argmax(1)
    others = (tops + 1) % CLASSES
    ask = {"model": network(), "images": images, "evidence": evidence, "fractions": [0.5]}
    found = class_flipping(**ask, original=None, target=others)
    for ours, theirs in zip(
        found, class_flipping(**ask, original=tops, target=others), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert (found.log_odds > 0).all()
    for ours, theirs in zip(
        class_flipping(**ask, original=1, target=2),
        class_flipping(**ask, original=torch.full((7,), 1), target=torch.full((7,), 2)),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    back = class_flipping(**ask, original=others, target=tops)
    assert torch.equal(back.change, -found.change)


@pytest.mark.parametrize(("bias", "flips"), [(0.5, False), (0.0, False), (-0.5, True)])
def test_a_single_logit_stands_for_two_classes(bias: float, flips: bool) -> None:
    net = linear(torch.tensor([[2.0, -1.0, 3.0]]), torch.tensor([bias]))
    images = torch.ones(1, 1, 1, 3, dtype=torch.float64)
    found = class_flipping(net, images, images, [1.0], original=1, target=0)
    assert found.log_odds.tolist() == [4 + bias] and found.change.tolist() == [[4.0]]
    assert found.flipped.tolist() == [[flips]]


def test_pixels_that_tie_are_drawn_by_the_sample() -> None:
    net, _, images = random_linear()
    tied = torch.ones(5, SIDE, SIDE)
    ids = [4, 8, 15, 16, 23]
    ask = {"original": 0, "target": 1}
    found = class_flipping(net, images, tied, [0.3], **ask, sample_ids=ids)
    assert (found.removed == 11 / 36).all()
    alone = class_flipping(net, images[2:3], tied[2:3], [0.3], **ask, sample_ids=ids[2:3])
    assert float(alone.change) == pytest.approx(float(found.change[2]), rel=1e-12)
    other = class_flipping(net, images, tied, [0.3], **ask)
    assert not torch.allclose(other.change, found.change)
