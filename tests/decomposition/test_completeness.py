"""A residual above tolerance is reported, with the names of those that cause it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fullgrad_lightning as fgl
from fullgrad_lightning.decomposition import local_residuals
from fullgrad_lightning.decomposition.operations.table import OPERATIONS
from tests.decomposition.redrawn import images, redraw


def network() -> nn.Sequential:
    return redraw(
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.GELU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(16, 5),
        )
    )  # fmt: skip


@pytest.mark.parametrize("decompose", [fgl.full_gradients, fgl.attribution_budget])
def test_a_wrong_rule_is_named_first(decompose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATIONS, "gelu", OPERATIONS["relu"])
    with pytest.warns(fgl.IncompleteDecomposition) as caught:
        result = decompose(network(), images())
    message = str(caught[0].message)
    assert "1 (gelu," in message and "conv2d" not in message.split("1 (gelu,")[0]
    assert "relative residual" in message and "tolerance 1e-10" in message
    assert caught[0].filename == __file__
    assert result.relative_residual.max() > 1e-3
    site, residual = local_residuals(network(), images())[0]
    assert site.name == "1"
    assert residual == pytest.approx(float(result.residual.abs().max()), rel=1e-6)


def test_samples_that_influence_each_other_are_reported() -> None:
    def coupled(x: Tensor) -> Tensor:
        return torch.tanh(x - x.mean(0, keepdim=True))

    with pytest.warns(fgl.IncompleteDecomposition, match="samples of a batch influence each other"):
        fgl.attribution_budget(coupled, images(3, 4), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fgl.attribution_budget(coupled, images(1, 4), 0)


def test_an_exact_decomposition_has_no_suspects() -> None:
    assert all(residual < 1e-13 for _, residual in local_residuals(network(), images()))


def test_the_share_of_what_is_not_localized_is_told() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return 3 * ctx.saved_tensors[0] ** 2 * gradient

    budget = fgl.attribution_budget(Cube.apply, torch.full((2, 1), 2.0, dtype=torch.float64))
    # f = x³ = 8; ⟨∇f, x⟩ = 3x³ = 24; the bias is −2x³ = −16.
    assert budget.by_kind()["not_localized"].tolist() == [-16, -16]
    assert budget.share_by_kind()["not_localized"].tolist() == [0.4, 0.4]
    assert budget.share_by_kind()["input"].tolist() == [0.6, 0.6]
    assert budget.residual_over_output.tolist() == [0, 0]


def test_zero_over_zero_is_zero() -> None:
    budget = fgl.attribution_budget(nn.Linear(3, 2, bias=False), torch.zeros(2, 3))
    assert budget.relative_residual.tolist() == [0, 0]
    assert budget.residual_over_output.tolist() == [0, 0]


def test_tolerance() -> None:
    """Rounding is reported where a user asks for more than rounding can hold, and only there."""
    net, x = network().float(), images().float()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fgl.attribution_budget(net, x, tolerance=1e-3)
    with pytest.warns(fgl.IncompleteDecomposition, match="tolerance 1e-12"):
        fgl.attribution_budget(net, x, tolerance=1e-12)
