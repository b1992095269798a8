"""ROAD against literal loops."""

from __future__ import annotations

from statistics import mean
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.masking.imputation import noisy_linear
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.metrics import ROAD, road
from tests.metrics.perturbing import MEAN, PIXELS, STD, network, samples, says

FRACTIONS, IDS = (0.0, 0.3, 0.7, 1.0), [3, 1, 4, 15, 9, 2, 6]


def literal(labels: list[int] | None) -> dict[str, list[list[float]]]:
    """Probability and correctness by sample and fraction; imputed before normalisation."""
    net, (images, ranks) = network(), samples()
    mean_, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (MEAN, STD))
    found: dict[str, list[list[float]]] = {}
    for n, (image, its) in enumerate(zip(images, ranks, strict=True)):
        label = int(says(net, image).argmax()) if labels is None else labels[n]
        for end in ("most", "least"):
            rows: tuple[list[float], list[float]] = ([], [])
            for fraction in FRACTIONS:
                k = round(fraction * PIXELS)
                gone = its < k if end == "most" else its >= PIXELS - k
                imputed = noisy_linear(
                    image * std + mean_, gone, unknown=mean_.flatten(), sample_id=IDS[n], seed=5
                )
                logits = says(net, torch.where(gone, (imputed - mean_) / std, image))
                rows[0].append(float(logits.softmax(0)[label]))
                rows[1].append(float(int(logits.argmax()) == label))
            for name, row in zip(("probability", "correct"), rows, strict=True):
                found.setdefault(f"{end}_{name}", []).append(row)
    return found


def updated(labels: list[int] | None, *parts: slice) -> dict[str, Tensor]:
    metric = ROAD(FRACTIONS, mean=MEAN, std=STD, seed=5, batch_size=3)
    images, ranks = samples()
    for part in parts:
        target = None if labels is None else torch.tensor(labels)[part]
        metric.update(network(), images[part], ranks[part], target=target, sample_ids=IDS[part])
    return metric.compute()


@pytest.mark.parametrize("labels", [None, [0, 1, 2, 3, 0, 1, 2]])
def test_against_loops(labels: list[int] | None) -> None:
    found, rows = updated(labels, slice(0, 4), slice(4, 7)), literal(labels)
    curves = {
        name: [mean(column) for column in zip(*values, strict=True)]
        for name, values in rows.items()
    }
    assert found["count"] == 7 and found["fractions"].tolist() == list(FRACTIONS)
    for name, curve in curves.items():
        assert found[name].tolist() == pytest.approx(curve, rel=1e-11)
    for score, name in (("probability", "probability"), ("accuracy", "correct")):
        difference = mean(curves[f"least_{name}"]) - mean(curves[f"most_{name}"])
        assert float(found[score]) == pytest.approx(difference, rel=1e-9, abs=1e-15)


def test_both_ends_meet_where_nothing_or_everything_is_removed() -> None:
    images, ranks = samples()
    curves = road(network(), images, ranks, FRACTIONS)
    for i in (0, -1):
        assert torch.equal(curves.most_probability[:, i], curves.least_probability[:, i])
        assert torch.equal(curves.most_correct[:, i], curves.least_correct[:, i])
    assert curves.most_correct[:, 0].all() and not torch.equal(
        curves.most_probability, curves.least_probability
    )


def test_labels_make_accuracy_and_their_absence_agreement() -> None:
    images, ranks = samples()
    logits = torch.stack([says(network(), image) for image in images])
    for target, expected in ((logits.argmin(1), 0.0), (logits.argmax(1), 1.0), (None, 1.0)):
        curves = road(network(), images, ranks, [0.0, 0.5], target=target)
        assert curves.least_correct[:, 0].double().mean() == expected


class Quadrant(nn.Module):
    """Class 1 if the first quadrant is brighter than the rest."""

    def forward(self, x: Tensor) -> Tensor:
        inside = x[:, :, :3, :3].mean((1, 2, 3))
        return torch.stack([x.mean((1, 2, 3)) + 0.05, inside], 1) * 20


def test_true_saliency_scores_high_and_its_opposite_low() -> None:
    images = torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(2)) * 0.1
    images[:, :, :3, :3] += 0.8
    truth = images.mean(1)
    scores: list[Any] = []
    for maps in (truth, -truth):
        metric = ROAD([0.25, 0.5])
        metric.update(Quadrant(), images, rank_pixels(maps, range(8)), sample_ids=range(8))
        scores.append(metric.compute())
    assert scores[0]["accuracy"] > 0.9 and scores[0]["probability"] > 0.5
    for score in ("accuracy", "probability"):
        assert float(scores[1][score]) == pytest.approx(-float(scores[0][score]))
