"""The residual over samples, whatever batches they come in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fullgrad_lightning as fgl
from fullgrad_lightning.metrics import CompletenessResidual


def test_mean_and_maximum_over_samples_not_over_batches() -> None:
    values = torch.rand(11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    metric = CompletenessResidual()
    for batch in (values[:7], values[7:8], values[8:]):
        metric.update(batch)
    found = metric.compute()
    assert found.keys() == {"mean", "max"}
    assert found["mean"].dtype == found["max"].dtype == torch.float64
    assert torch.isclose(found["mean"], values.mean(), rtol=1e-14, atol=0)
    assert found["max"] == values.max()


def test_small_residuals_are_added_in_float64() -> None:
    metric = CompletenessResidual()
    metric.update(torch.ones(1))
    for _ in range(10):
        metric.update(torch.full((1000,), 1e-9))
    assert float(metric.compute()["mean"]) * 10_001 - 1 == pytest.approx(1e-5, rel=1e-6)


def test_residuals_of_a_decomposition() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3), torch.nn.Tanh()).double()
    fg = fgl.full_gradients(net, torch.rand(4, 3, 2, 2, dtype=torch.float64))
    metric = CompletenessResidual()
    metric.update(fg.relative_residual)
    assert 0 <= metric.compute()["mean"] <= metric.compute()["max"] < 1e-12


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_is_not_complete() -> None:
    metric = CompletenessResidual()
    assert all(value.isnan() for value in metric.compute().values())
    metric.update(torch.zeros(0))
    assert all(value.isnan() for value in metric.compute().values())


def test_nan_stays_visible() -> None:
    metric = CompletenessResidual()
    metric.update(torch.tensor([0.1, float("nan")]))
    metric.update(torch.tensor([0.2]))
    assert all(value.isnan() for value in metric.compute().values())


def test_reset() -> None:
    metric = CompletenessResidual()
    metric.update(torch.tensor([3.0]))
    metric.reset()
    metric.update(torch.tensor([1.0]))
    assert {name: float(value) for name, value in metric.compute().items()} == {
        "mean": 1.0,
        "max": 1.0,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(2, 1), r"shape \(N,\), got torch.float32 of shape \(2, 1\)"),
        (torch.tensor(1.0), r"shape \(N,\), got torch.float32 of shape \(\)"),
        (torch.zeros(2, dtype=torch.long), "floating point of shape .* got torch.int64"),
        (torch.tensor([0.1, -0.2]), "must not be negative, got -0.2. Pass absolute values"),
    ],
)
def test_errors(values: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompletenessResidual().update(values)
