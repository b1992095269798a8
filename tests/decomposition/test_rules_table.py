"""Every entry of the table of bias rules, against the generic linearisation y − Σ J_i x_i.

Each name needs a sample call in ``rule_samples``; it is watched as a network's would be, so
that the canonical names are tested too. Homogeneity is also held against its definition,
op(2x) = 2ᵏ·op(x).
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.decomposition.bias_gradients import stream_bias_gradients
from fullgrad_lightning.decomposition.operations import bias_rules as rules
from fullgrad_lightning.decomposition.operations.linearization import NotLocalizable, implicit_bias
from fullgrad_lightning.decomposition.operations.op_call import OpCall, tensors
from tests.decomposition.redrawn import images
from tests.decomposition.rule_samples import (
    OTHERWISE_BIASED,
    SAMPLES,
    WITHOUT_A_SAMPLE,
    Sample,
)

OPERANDS = ((2, 3, 4, 4), (2, 3, 4, 4))
TABLE = frozenset().union(
    rules._CONVOLUTIONS,
    rules._AFFINE,
    rules._PRODUCTS,
    rules._DEGREES,
    rules._DEGREE_ONE,
    rules._DEGREE_ONE_JOINTLY,
    {"batch_norm", "div", "pow", "max", "min", "dropout"},
)
CASES = [(name, i) for name, samples in SAMPLES.items() for i in range(len(samples))]


class Nothing:
    """A consumer that wants no bias: only the calls are of interest."""

    def wants(self, op: str, kind: str) -> bool:
        return True

    def receive(self, record: object, gradient: Tensor) -> None:
        raise AssertionError("no rule was given")

    receive_unlocalized = receive


def watched(sample: Sample, name: str) -> list[OpCall]:
    """The calls of that name that are made when ``sample`` runs on two activations."""
    calls: list[OpCall] = []

    def remember(call: OpCall) -> None:
        if call.op == name:
            calls.append(call.frozen(keep_values=True, copy=True))

    def model(x: Tensor) -> object:
        a, b = (part.view(OPERANDS[0]) for part in x.tensor_split(2, 1))
        calls.clear()  # of what made the operands
        return sample(a, b), x

    def total(outputs: tuple[object, Tensor]) -> Tensor:
        parts = [t.abs() for t in tensors(outputs) if t.is_floating_point() or t.is_complex()]
        return sum((part.sum() for part in parts), start=torch.zeros(())).reshape(1)

    stream_bias_gradients(model, images(1, 192), total, Nothing(), rules=remember)
    return calls


@pytest.mark.parametrize(("name", "i"), CASES, ids=[f"{name}-{i}" for name, i in CASES])
def test_the_rule_agrees_with_the_linearisation(name: str, i: int) -> None:
    calls = watched(SAMPLES[name][i], name)
    assert calls, f"the sample never calls {name}"
    compared = 0
    for call in calls:
        rule, degree = rules.bias_rule(call), rules.homogeneity(call)
        outputs = tensors(call.replay([a.clone() for a in call.activations]))
        doubled = tensors(call.replay([2 * a for a in call.activations]))
        for number, y in enumerate(outputs):
            if not (y.is_floating_point() or y.is_complex()):
                continue
            if degree is not None and name not in rules._CONVOLUTIONS | rules._AFFINE:
                torch.testing.assert_close(doubled[number], 2**degree * y, rtol=1e-12, atol=1e-12)
                compared += 1
            try:
                expected = implicit_bias(call, number)
            except NotLocalizable:
                assert degree is not None, f"nothing to compare {name} with"
                continue
            if rule is None:
                found = torch.zeros_like(y)
            else:
                found = rule.bias(call.frozen(rule.keeps == "values"), number)
            torch.testing.assert_close(
                found.expand_as(y), expected, rtol=1e-9, atol=1e-10, equal_nan=False
            )
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("name", sorted(rules._DEGREE_ONE | rules._DEGREE_ONE_JOINTLY))
def test_the_table_says_no_bias_of_what_is_of_degree_one(name: str) -> None:
    """So that the comparison above is with 0, and no sample falls through to the linearisation."""
    if name in WITHOUT_A_SAMPLE:
        assert WITHOUT_A_SAMPLE[name]
        return
    calls = [call for sample in SAMPLES[name] for call in watched(sample, name)]
    assert any(rules.bias_rule(call) is None for call in calls)


def test_every_entry_of_the_table_has_a_sample() -> None:
    assert TABLE - SAMPLES.keys() - WITHOUT_A_SAMPLE.keys() == set()
    assert not SAMPLES.keys() & WITHOUT_A_SAMPLE.keys()
    assert WITHOUT_A_SAMPLE.keys() <= TABLE, "no longer in the table"


@pytest.mark.parametrize("name", OTHERWISE_BIASED)
def test_a_constant_or_active_operand_that_breaks_the_rule_is_noticed(name: str) -> None:
    """maximum(x, c), x·|grid|, x ** y, …: the table must not take them for homogeneous ones."""
    op, sample = OTHERWISE_BIASED[name]
    for call in watched(sample, op):
        rule = rules.bias_rule(call)
        assert rule is not None
        try:
            expected = implicit_bias(call, 0)
        except NotLocalizable:  # grid_sample by its grid, in torch 2.11
            continue
        found = rule.bias(call.frozen(rule.keeps == "values"), 0)
        assert found.abs().max() > 1e-3
        torch.testing.assert_close(found.expand_as(expected), expected, rtol=1e-9, atol=1e-10)
