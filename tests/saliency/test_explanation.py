"""Map, coverage, layer maps and budget of one pass, against those computed one by one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fullgrad_lightning as fgl
from fullgrad_lightning.decomposition.operations.table import OPERATIONS
from fullgrad_lightning.saliency.fullgrad import Explanation, FullGrad
from fullgrad_lightning.saliency.fullgrad_variants import SimpleFullGrad, SmoothFullGrad
from tests.decomposition.redrawn import images, redraw
from tests.saliency.networks import NETWORKS, assert_near, network
from tests.saliency.test_coverage import WithShift
from tests.saliency.test_fullgrad import Scrambled
from tests.saliency.test_tokens import TinyViT

METHODS: dict[str, FullGrad] = {
    "fullgrad": FullGrad(),
    "released": FullGrad("idiap", interpolation="bicubic", multiply_by_input=False),
    "signed": FullGrad("signed"),
    "placed": FullGrad(placement=lambda site, values: site.layout and site.layout.fold(values)),
    "simple": SimpleFullGrad(),
    "smooth": SmoothFullGrad("abs", n_samples=3, internal_batch_size=2),
}
EVERYTHING: dict[str, Any] = {"coverage": True, "layer_maps": "paper", "budget": True}


class ForwardCounter:
    """Lists the batch size of each call of a network."""

    def __init__(self, model: nn.Module) -> None:
        self.calls: list[int] = []
        model.register_forward_hook(
            lambda _model, inputs, _output: self.calls.append(len(inputs[0]))
        )


def separately(
    method: FullGrad, model: nn.Module, x: Tensor, target: Any, ids: Tensor | None = None
) -> Explanation:
    placement = method.placement
    return Explanation(
        method(model, x, target, sample_ids=ids),
        method.coverage(model, x, target),
        fgl.layer_maps(model, x, target, postprocess="paper", placement=placement),
        fgl.attribution_budget(model, x, target),
    )


def assert_equal(
    explanation: Explanation,
    expected: Explanation,
    same: Callable[[Tensor, Tensor], object] = lambda a, b: torch.testing.assert_close(
        a, b, rtol=0, atol=0
    ),
) -> None:
    assert explanation.coverage is not None and expected.coverage is not None
    assert explanation.layer_maps is not None and expected.layer_maps is not None
    assert explanation.budget is not None and expected.budget is not None
    same(explanation.saliency, expected.saliency)
    same(explanation.coverage, expected.coverage)
    assert list(explanation.layer_maps) == list(expected.layer_maps) != []
    assert list(explanation.budget.bias_terms) == list(expected.budget.bias_terms) != []
    assert explanation.budget.sites == expected.budget.sites
    for name, site_map in expected.layer_maps.items():
        same(explanation.layer_maps[name], site_map)
    for name, term in expected.budget.bias_terms.items():
        same(explanation.budget.bias_terms[name], term)
    same(explanation.budget.output, expected.budget.output)
    same(explanation.budget.input_term, expected.budget.input_term)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", ["plain", "residual", "mobile"])
def test_one_pass_has_the_numbers_of_four_bit_by_bit(name: str, method: FullGrad) -> None:
    model, ids = network(name), torch.tensor([7, -2])
    x, target = images(2, 3, 40, 36), torch.tensor([1, 4])
    explanation = method.explain(model, x, target, **EVERYTHING, sample_ids=ids)
    assert_equal(explanation, separately(method, model, x, target, ids))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_of_a_transformer_and_of_the_top_class_too(method: FullGrad, dtype: torch.dtype) -> None:
    model, x = TinyViT(1, 0).to(dtype), images(3, 3, 12, 20).to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fgl.IncompleteDecomposition)  # rounding in half precision
        assert_equal(method.explain(model, x, **EVERYTHING), separately(method, model, x, None))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", [FullGrad(), FullGrad("idiap"), SimpleFullGrad()])
def test_the_network_runs_once(name: str, method: FullGrad) -> None:
    model, x = network(name), images(2, 3, 40, 36)
    counter = ForwardCounter(model)
    method.explain(model, x, **EVERYTHING)
    assert counter.calls == [2]


def test_a_smooth_map_takes_its_draws_and_one_pass_more() -> None:
    model, x = network("plain"), images(2, 3, 40, 36)
    counter, method = ForwardCounter(model), SmoothFullGrad(n_samples=3, internal_batch_size=2)
    explanation = method.explain(model, x, 1)
    assert counter.calls == [2, 1, 2, 1]
    assert explanation.coverage is explanation.layer_maps is explanation.budget is None
    method.explain(model, x, 1, budget=True)
    assert counter.calls == 2 * [2, 1, 2, 1] + [2]


@pytest.mark.parametrize("method", [FullGrad(), SmoothFullGrad(n_samples=2)])
def test_what_is_not_requested_is_not_there(method: FullGrad) -> None:
    model, x = network("plain"), images(2, 3, 20, 24)
    parts = ("coverage", "layer_maps", "budget")
    for requested in parts:
        explanation = method.explain(model, x, 1, **{requested: EVERYTHING[requested]})
        for part in parts:
            assert (getattr(explanation, part) is not None) == (part == requested)


def test_biases_known_as_numbers_alone_are_in_the_budget_and_not_covered() -> None:
    def target(y: Tensor) -> Tensor:
        return y.sum((1, 2, 3))

    model, x = WithShift(), images(2, 3, 7, 8)
    explanation = FullGrad().explain(model, x, target, **EVERYTHING)
    assert_equal(explanation, separately(FullGrad(), model, x, target))
    assert "not_localized" in explanation.budget.by_kind()  # type: ignore[union-attr]


def test_samples_that_cannot_be_followed_are_explained_one_by_one() -> None:
    model, x, target = Scrambled().eval(), images(3, 3, 12, 10), torch.arange(3)
    counter = ForwardCounter(model)
    explanation = FullGrad().explain(model, x, target, **EVERYTHING)
    assert counter.calls == [3, 1, 1, 1]
    assert_equal(explanation, separately(FullGrad(), model, x, target))


def test_where_only_some_sites_are_lost_the_map_differs_by_rounding() -> None:
    """Alone, such a map runs as one batch; the budget, which takes all sites, cannot."""

    class Reordered(Scrambled):
        def forward(self, x: Tensor) -> Tensor:
            order = torch.arange(len(x)).flip(0)
            y = self.next(self.stem(x).relu()).relu().flatten(1)
            return self.head(y[order])[order]

    model, x, target = Reordered().eval(), images(3, 3, 12, 10), torch.arange(3)
    counter = ForwardCounter(model)
    explanation = FullGrad("idiap").explain(model, x, target, **EVERYTHING)
    FullGrad("idiap")(model, x, target)
    assert counter.calls == [3, 1, 1, 1, 3]
    expected = separately(FullGrad("idiap"), model, x, target)
    assert_equal(
        explanation, expected, lambda a, b: torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_layer_maps_of_a_batch_are_those_of_single_samples(name: str) -> None:
    model, x, target = network(name), images(3, 3, 40, 36), torch.tensor([4, 0, 2])
    together = FullGrad().explain(model, x, target, layer_maps="paper").layer_maps
    alone = [
        FullGrad().explain(model, x[i : i + 1], int(target[i]), layer_maps="paper").layer_maps
        for i in range(3)
    ]
    assert together
    for site, site_map in together.items():
        expected = torch.cat([maps[site] for maps in alone])  # type: ignore[index]
        torch.testing.assert_close(site_map, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", [FullGrad(), SmoothFullGrad(n_samples=2)])
def test_an_incomplete_budget_is_reported(
    method: FullGrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = network("plain").float(), images(2, 3, 20, 24).float()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.explain(model, x, **EVERYTHING)
        method.explain(model, x, coverage=True, tolerance=1e-12)
    with pytest.warns(fgl.IncompleteDecomposition, match="tolerance 1e-12"):
        method.explain(model, x, budget=True, tolerance=1e-12)
    monkeypatch.setitem(OPERATIONS, "gelu", OPERATIONS["relu"])
    gelu = redraw(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(1584, 2)))
    with pytest.warns(fgl.IncompleteDecomposition, match=r"1 \(gelu,"):
        method.explain(gelu, x.double(), budget=True)


def test_bad_arguments_are_refused() -> None:
    model, x = network("plain"), images(2, 3, 20, 24)
    with pytest.raises(ValueError, match=r"shape \(N, C, H, W\)"):
        FullGrad().explain(model, x[0])
    with pytest.raises(ValueError, match="postprocess must be one of"):
        FullGrad().explain(model, x, layer_maps="sum")
    with pytest.raises(ValueError, match=r"must have shape \(2,\)"):
        FullGrad().explain(model, x, torch.arange(3))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_under_no_grad_and_inference_mode(mode: Callable[[], Any]) -> None:
    model, x = network("plain").train(), images(2, 3, 20, 24)
    expected = FullGrad().explain(model, x, **EVERYTHING)
    with mode():
        explanation = FullGrad().explain(model, x * 1.0, **EVERYTHING)
    assert_equal(explanation, expected)
    assert model.training
    assert_near(explanation.saliency, FullGrad()(model, x), 1e-12)
