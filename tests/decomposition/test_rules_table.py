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
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.operations.bias_rules import Homogeneous
from fullgrad_lightning.decomposition.operations.linearization import NotLocalizable, implicit_bias
from fullgrad_lightning.decomposition.operations.op_call import OpCall, find_tensors
from fullgrad_lightning.decomposition.operations.table import (
    OPERATIONS,
    TABLE,
    Operation,
    bias_rule,
    find_operation,
)
from tests.decomposition.redrawn import images
from tests.decomposition.rule_samples import (
    OTHERWISE_BIASED,
    SAMPLES,
    WITHOUT_A_SAMPLE,
    Sample,
)

OPERANDS = ((2, 3, 4, 4), (2, 3, 4, 4))
CASES = [(name, i) for name, samples in SAMPLES.items() for i in range(len(samples))]


def is_of_degree_one(row: Operation) -> bool:
    return row.bias in (find_operation("relu").bias, find_operation("maximum").bias)


def record_calls(sample: Sample, name: str) -> list[OpCall]:
    """The calls of that name that are made when ``sample`` runs on two activations."""
    calls: list[OpCall] = []

    def record(call: OpCall) -> None:
        if call.op == name:
            calls.append(call.snapshot(keep_values=True, copy=True))

    def model(x: Tensor) -> object:
        a, b = (part.view(OPERANDS[0]) for part in x.tensor_split(2, 1))
        calls.clear()  # of what made the operands
        return sample(a, b), x

    def total(outputs: tuple[object, Tensor]) -> Tensor:
        parts = [t.abs() for t in find_tensors(outputs) if t.is_floating_point() or t.is_complex()]
        return sum((part.sum() for part in parts), start=torch.zeros(())).reshape(1)

    stream_bias_gradients(model, images(1, 192), total, BiasGradientHandler(), rules=record)
    return calls


@pytest.mark.parametrize(("name", "i"), CASES, ids=[f"{name}-{i}" for name, i in CASES])
def test_the_rule_agrees_with_the_linearisation(name: str, i: int) -> None:
    calls = record_calls(SAMPLES[name][i], name)
    assert calls, f"the sample never calls {name}"
    compared = 0
    for call in calls:
        rule, degree = bias_rule(call), degree_of_homogeneity(call)
        outputs = find_tensors(call.replay([a.clone() for a in call.activations]))
        doubled = find_tensors(call.replay([2 * a for a in call.activations]))
        for number, y in enumerate(outputs):
            if not (y.is_floating_point() or y.is_complex()):
                continue
            if degree is not None:
                torch.testing.assert_close(doubled[number], 2**degree * y, rtol=1e-12, atol=1e-12)
                compared += 1
            if rule is not None and rule.bias is implicit_bias:
                compared += 1  # by the linearisation itself
                continue
            try:
                expected = implicit_bias(call, number)
            except NotLocalizable:
                assert degree is not None, f"nothing to compare {name} with"
                continue
            if rule is None:
                bias = torch.zeros_like(y)
            else:
                bias = rule.bias(call.snapshot(rule.keeps != "shapes"), number)
            torch.testing.assert_close(
                bias.expand_as(y), expected, rtol=1e-9, atol=1e-10, equal_nan=False
            )
            compared += 1
    assert compared > 0


def degree_of_homogeneity(call: OpCall) -> float | None:
    rule = find_operation(call.op).bias
    return rule.degree(call) if isinstance(rule, Homogeneous) else None


@pytest.mark.parametrize("name", [n for n, row in OPERATIONS.items() if is_of_degree_one(row)])
def test_operations_of_degree_one_have_no_bias(name: str) -> None:
    """So that the comparison above is with 0, and no sample falls through to the linearisation."""
    if name in WITHOUT_A_SAMPLE:
        assert WITHOUT_A_SAMPLE[name]
        return
    calls = [call for sample in SAMPLES[name] for call in record_calls(sample, name)]
    assert any(bias_rule(call) is None for call in calls)


def test_every_operation_of_the_table_has_a_sample() -> None:
    assert len(OPERATIONS) == sum(len(row.names.split()) for row in TABLE), "a name stands twice"
    assert OPERATIONS.keys() - SAMPLES.keys() - WITHOUT_A_SAMPLE.keys() == set()
    assert not SAMPLES.keys() & WITHOUT_A_SAMPLE.keys()
    assert WITHOUT_A_SAMPLE.keys() <= OPERATIONS.keys(), "no longer in the table"


@pytest.mark.parametrize("name", OTHERWISE_BIASED)
def test_operands_that_break_the_rule_of_an_operation(name: str) -> None:
    """maximum(x, c), x·|grid|, x ** y, …: they must not be taken for homogeneous ones."""
    op, sample = OTHERWISE_BIASED[name]
    for call in record_calls(sample, op):
        rule = bias_rule(call)
        assert rule is not None
        try:
            expected = implicit_bias(call, 0)
        except NotLocalizable:  # grid_sample by its grid, in torch 2.11
            continue
        bias = rule.bias(call.snapshot(rule.keeps != "shapes"), 0)
        assert bias.abs().max() > 1e-3
        torch.testing.assert_close(bias.expand_as(expected), expected, rtol=1e-9, atol=1e-10)
