"""One member of every torchvision family, redrawn, at a small image size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torchvision.models as tv
from torch import nn

import fullgrad_lightning as fgl
from fullgrad_lightning.decomposition.attribution_budget import AttributionBudget, TermCollector
from fullgrad_lightning.decomposition.bias_gradients import stream_bias_gradients
from fullgrad_lightning.decomposition.operations.bias_rules import Rule, bias_rule
from fullgrad_lightning.decomposition.operations.op_call import OpCall
from tests.decomposition.redrawn import images, redraw

FAMILIES: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "alexnet": (tv.alexnet, 64),
    "vgg": (tv.vgg11, 32),
    "vgg_bn": (tv.vgg11_bn, 32),
    "resnet": (tv.resnet18, 32),
    "resnext": (tv.resnext50_32x4d, 32),
    "wide_resnet": (tv.wide_resnet50_2, 32),
    "squeezenet": (tv.squeezenet1_1, 32),
    "densenet": (tv.densenet121, 32),
    "inception": (partial(tv.inception_v3, init_weights=False), 75),
    "googlenet": (partial(tv.googlenet, init_weights=False), 32),
    "shufflenet": (tv.shufflenet_v2_x0_5, 32),
    "mobilenet_v2": (tv.mobilenet_v2, 32),
    "mobilenet_v3": (tv.mobilenet_v3_small, 32),
    "mnasnet": (tv.mnasnet0_5, 32),
    "efficientnet": (tv.efficientnet_b0, 32),
    "efficientnet_v2": (tv.efficientnet_v2_s, 32),
    "regnet_x": (tv.regnet_x_400mf, 32),
    "regnet_y": (tv.regnet_y_400mf, 32),
    "convnext": (tv.convnext_tiny, 32),
    "vit": (partial(tv.vit_b_32, image_size=64), 64),
    "swin": (tv.swin_t, 32),
    "swin_v2": (tv.swin_v2_t, 32),
    "maxvit": (
        partial(
            tv.MaxVit, (64, 64), 16, 2, [16, 32], [1, 1], 8, 0.0
        ),
        64,
    ),
}  # fmt: skip
INPUT = "input"
# Which kinds of site a family has, by their first letters; most have biases and norms.
KINDS = {
    **dict.fromkeys(("alexnet", "vgg", "squeezenet"), "par"),
    "mobilenet_v2": "nonnorpar",
    "mobilenet_v3": "nonnorparpro",
    "efficientnet": "nonnorparpro",
    "efficientnet_v2": "nonnorparpro",
    "regnet_y": "nonnorparpro",
    "convnext": "nonnorpar",
    "vit": "connonnorpar",
    "swin": "connonnorparpro",
    "swin_v2": "connonnorparpro",
    "maxvit": "connonnorparpro",
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor]:
    build, size = FAMILIES[request.param]
    return redraw(build(num_classes=7)), images(2, 3, size, size)


def test_is_exact_in_both_precisions(family: tuple[nn.Module, torch.Tensor]) -> None:
    model, x = family
    budget = fgl.attribution_budget(model, x)
    assert budget.relative_residual.max() <= 1e-12
    assert not any(site.kind == "not_localized" for site in budget.sites.values())
    single = fgl.attribution_budget(model.float(), x.float())
    model.double()
    assert single.relative_residual.max() <= 1e-4


def test_each_sample_is_the_same_alone(family: tuple[nn.Module, torch.Tensor]) -> None:
    model, x = family
    batch = fgl.attribution_budget(model, x, 3)
    alone = fgl.attribution_budget(model, x[1:], 3)
    assert list(batch.sites) == list(alone.sites)
    scale = alone.input_term.abs() + sum(t.abs() for t in alone.bias_terms.values())
    for name, term in alone.bias_terms.items():
        assert (batch.bias_terms[name][1:] - term).abs() <= 1e-11 * scale, name
        assert batch.sites[name].spatial == alone.sites[name].spatial


def test_kinds_are_those_of_the_architecture(
    family: tuple[nn.Module, torch.Tensor], request: pytest.FixtureRequest
) -> None:
    budget = fgl.attribution_budget(*family)
    name = next(name for name in FAMILIES if f"[{name}]" in request.node.name)
    assert "".join(sorted(kind[:3] for kind in budget.by_kind())) == KINDS.get(name, "norpar")


def test_no_kind_of_site_can_be_dropped(family: tuple[nn.Module, torch.Tensor]) -> None:
    """Mutations of the rule table: without any one kind, or the input term, f is missed."""
    model, x = family
    whole = fgl.attribution_budget(model, x)
    kinds = [*whole.by_kind(), INPUT]
    assert len(kinds) > 1
    for kind in kinds:
        assert mutated(model, x, kind).relative_residual.max() > 1e-9, kind


def mutated(model: nn.Module, x: torch.Tensor, dropped: str) -> AttributionBudget:
    def rules(call: OpCall) -> Rule | None:
        rule = bias_rule(call)
        return None if rule is not None and rule.kind == dropped else rule

    consumer = TermCollector()
    done = stream_bias_gradients(model, x, None, consumer, rules=rules)
    kept = 0.0 if dropped == INPUT else 1.0
    return consumer.budget(kept * x, done)
