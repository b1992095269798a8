"""Several handlers in one pass: each as alone, and every bias computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition.attribution_budget import TermCollector
from fullgrad_lightning.decomposition.bias_gradients import stream_bias_gradients
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler, HandlerList
from fullgrad_lightning.decomposition.operations import linearization
from fullgrad_lightning.decomposition.operations.bias_rules import Kind, Rule, bias_rule
from fullgrad_lightning.decomposition.operations.op_call import OpCall
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias
from fullgrad_lightning.decomposition.tracing.sites import Site
from tests.decomposition.redrawn import images, redraw


class Values(BiasGradientHandler):
    """Keeps every f^b of the kinds wanted."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.values: dict[str, Tensor] = {}

    def wants(self, op: str, kind: Kind) -> bool:
        return not self.kinds or kind in self.kinds

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        self.values[pending.site.name] = pending.bias_gradient(gradient)

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        self.values[site.name] = term


class Gradients(BiasGradientHandler):
    """Keeps the shape of every gradient, without any bias."""

    def __init__(self) -> None:
        self.shapes: dict[str, torch.Size] = {}

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        self.shapes[pending.site.name] = gradient.shape


def network() -> nn.Module:
    layers = nn.Conv2d(3, 4, 3), nn.Tanh(), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten()
    return redraw(nn.Sequential(*layers, nn.Linear(64, 5), nn.Softmax(1))).eval()


def handlers() -> tuple[BiasGradientHandler, ...]:
    return TermCollector(), Values(), Values("parameter", "normalization"), Gradients()


def results(handler: BiasGradientHandler) -> dict[str, object]:
    return {key: value for key, value in vars(handler).items() if key != "kinds"}


def assert_alike(found: BiasGradientHandler, expected: BiasGradientHandler) -> None:
    torch.testing.assert_close(results(found), results(expected), rtol=0, atol=0)


@pytest.mark.parametrize("nested", [False, True])
def test_each_handler_receives_what_it_receives_alone(nested: bool) -> None:
    net, x = network(), images()
    together, alone = handlers(), handlers()
    first, *others = together
    fan_out = HandlerList([first, HandlerList(others)] if nested else together)
    stream_bias_gradients(net, x, None, fan_out)
    for in_list, handler in zip(together, alone, strict=True):
        stream_bias_gradients(net, x, None, handler)
        assert results(handler)
        assert_alike(in_list, handler)


def counting_rules(counts: Counter[str]) -> Callable[[OpCall], Rule | None]:
    def rules(call: OpCall) -> Rule | None:
        rule = bias_rule(call)
        if rule is None:
            return None

        def bias(call: OpCall, output: int) -> Tensor:
            counts[call.op if call else "settled"] += 1
            return rule.bias(call, output)

        return Rule(rule.kind, bias, keeps="values", finite=rule.finite)

    return rules


def test_a_bias_is_computed_once_for_all_who_use_it() -> None:
    counts: Counter[str] = Counter()
    fan_out = HandlerList(handlers())
    stream_bias_gradients(network(), images(), None, fan_out, rules=counting_rules(counts))
    assert counts == dict.fromkeys(["conv2d", "tanh", "batch_norm", "gelu", "linear", "softmax"], 1)


def test_nothing_is_computed_for_what_nobody_wants() -> None:
    counts: Counter[str] = Counter()
    fan_out = HandlerList([Values("parameter"), Values("normalization")])
    stream_bias_gradients(network(), images(), None, fan_out, rules=counting_rules(counts))
    assert counts == dict.fromkeys(["conv2d", "batch_norm", "linear"], 1)


def test_a_bias_that_is_one_number_per_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that uses b gets the term, one that uses the gradient alone gets the gradient."""
    monkeypatch.setattr(
        "fullgrad_lightning.decomposition.operations.bias_rules.implicit_bias", _unavailable
    )
    terms, values, gradients = TermCollector(), Values(), Gradients()
    stream_bias_gradients(
        lambda x: torch.sinh(x), images(2, 5), 0, HandlerList([terms, values, gradients])
    )
    ((site, term),) = terms.terms.items()
    assert site.kind == "not_localized" and term.shape == (2,)
    assert values.values["sinh"] is term
    assert gradients.shapes == {"sinh": (2, 5)}


def _unavailable(call: OpCall, output: int) -> Tensor:
    raise linearization.NotLocalizable(call.op)
