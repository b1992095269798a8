"""Inputs of class flipping: refusals, arguments left unmodified, and no samples."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.metrics import ClassFlipping
from tests.metrics.perturbing import evidence_of, network, samples

A, B = [0, 1, 2, 3, 0, 1, 2], [1, 3, 0, 2, 3, 0, 1]


def test_noise_belongs_to_the_sample_and_the_seed() -> None:
    images, evidence = samples()[0], evidence_of()  # without ties, which ids decide too

    def mean(parts: list[slice], first_id: int = 40, seed: int = 0) -> float:
        metric = ClassFlipping([0.5], fill="noisy_linear", seed=seed, batch_size=3)
        for part in parts:
            ids = torch.arange(7)[part] + first_id
            metric.update(
                network(), images[part], evidence[part], original=0, target=1, sample_ids=ids
            )
        return float(metric.compute()["mean"])

    whole = mean([slice(None)])
    assert mean([slice(i, i + 1) for i in range(7)]) == pytest.approx(whole, rel=1e-12)
    assert mean([slice(None)], first_id=41) != pytest.approx(whole, rel=1e-6)
    assert mean([slice(None)], seed=1) != pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_no_batch_is_larger_than_asked_for(batch_size: int) -> None:
    sizes = []

    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes.append(len(x))
            return x.sum((2, 3))

    metric = ClassFlipping([0.1, 0.5], batch_size=batch_size)
    metric.update(Counts(), samples()[0], evidence_of(), original=0, target=1)
    assert max(sizes) == batch_size and sum(sizes) == 3 * 7


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_sample_and_one() -> None:
    images, evidence, metric = samples()[0], evidence_of(), ClassFlipping()
    metric.update(network(), images[:0], evidence[:0], original=0, target=1)
    found = metric.compute()
    assert found["count"] == 0 and found["fractions"].tolist() == [0.05, 0.1, 0.2]
    assert all(found[name].isnan().all() for name in ("mean", "std", "flipped", "removed"))
    metric.update(network(), images[:1], evidence[:1], original=0, target=1)
    found = metric.compute()
    assert found["std"].isnan().all() and not found["mean"].isnan().any()


@pytest.mark.parametrize("train", [True, False])
def test_the_network_is_left_as_it_was(train: bool) -> None:
    net, images, evidence = network().train(train), samples()[0], evidence_of()
    weights, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    random, before, maps = torch.get_rng_state(), images.clone(), evidence.clone()
    metric = ClassFlipping()
    with torch.inference_mode():
        metric.update(net, images, evidence, original=None, target=torch.tensor(B))
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(weights[key], value) for key, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(images, before) and torch.equal(evidence, maps)
    again = pickle.loads(pickle.dumps(metric))
    assert torch.equal(again.compute()["mean"], metric.compute()["mean"])
    assert not list(metric.parameters()) and len(list(metric.modules())) == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"evidence": torch.ones(7, 6, 6, dtype=torch.long)}, TypeError, "must be floating point"),
        ({"evidence": torch.full((7, 6, 6), torch.nan)}, ValueError, "NaN or infinity"),
        ({"evidence": torch.rand(7, 3, 6, 6)}, ValueError, r"\(N, 1, H, W\) or \(N, H, W\), got"),
        ({"evidence": torch.rand(7, 6, 5)}, ValueError, r"evidence \(N, 1, H, W\) or .*\(7, 6, 5"),
        ({"evidence": torch.rand(3, 6, 6)}, ValueError, r"evidence \(N, 1, H, W\) or .*\(3, 6, 6"),
        ({"images": torch.rand(3, 6, 6)}, ValueError, r"Images must be \(N, C, H, W\)"),
        ({"model": nn.Identity()}, ValueError, r"return logits \(N, K\) with N=7"),
        ({"target": 4}, ValueError, "Targets range from 4 to 4, but the model has 4 outputs"),
        ({"original": -1}, ValueError, "Targets range from -1 to -1"),
        ({"target": None}, TypeError, r"target must be a class index or indices \(N,\)"),
        ({"target": torch.arange(3)}, ValueError, r"must have shape \(7,\)"),
        (
            {"target": 2},
            ValueError,
            "same class in 2 of 7 samples, the first of them sample 2",
        ),
        ({"sample_ids": [1, 2]}, ValueError, "7 maps and 2 ids"),
    ],
)
def test_inputs(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {
        "model": network(), "images": samples()[0], "evidence": evidence_of(),
        "original": torch.tensor(A), "target": torch.tensor(B),
    } | change  # fmt: skip
    with pytest.raises(error, match=message):
        ClassFlipping().update(**given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": [0.2, 0.1]}, "fractions must be shares .* in ascending order"),
        ({"fractions": [1.5]}, "a share of the pixels, 0…1"),
        ({"fill": "grey"}, "fill must be one of .*'grey'"),
        ({"mean": [0.5]}, "mean and std must be given together"),
        ({"batch_size": 0}, "batch_size must be an integer ≥ 1, got 0"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassFlipping(**options)
