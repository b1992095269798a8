"""The axes of every row of the table of operations, against the effect of changes of the input.

The sample call of each operation runs again with one of its samples changed: what differs in the
output must be where the axes place that sample. Of a change in one row or column of pixels, what
differs must be centred where the height or width axis places it.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition.axes.axis import Axes, Axis, Part
from fullgrad_lightning.decomposition.operations.op_call import find_tensors
from fullgrad_lightning.decomposition.operations.table import OPERATIONS, Movement
from fullgrad_lightning.decomposition.tracing.tracer import Tracer
from tests.decomposition.redrawn import images
from tests.decomposition.rule_samples import SAMPLES, Sample

X = images(2, 6, 4, 4, seed=21)  # two operands of two samples, (2, 3, 4, 4)
OPERANDS = slice(0, 3), slice(3, 6)
# Movements that must be followed, of some sample call at least.
FOLLOWED: set[Movement] = {
    "in_order", "elementwise", "same_numbering", "image", "product", "linear", "added_product",
    "attention", "reduction", "cat", "stack", "pad", "getitem", "setitem", "einsum",
}  # fmt: skip


def run(sample: Sample, x: Tensor) -> list[Tensor]:
    torch.manual_seed(0)
    outputs = find_tensors(sample(*(x[:, operand].contiguous() for operand in OPERANDS)))
    return [t for t in outputs if t.is_floating_point() or t.is_complex()]


def trace(sample: Sample) -> list[tuple[Tensor, Axes]]:
    """The outputs of a sample call with their axes."""
    tracer = Tracer(X.clone().requires_grad_(), lambda op, kind: False)
    with tracer.trace(nn.Identity()):
        outputs = run(sample, tracer.take_input())
        follow = [out.requires_grad and tracer.descends(out) for out in outputs]
        axes = [tracer.axes(o) if f else {} for o, f in zip(outputs, follow, strict=True)]
    return [(out.detach(), of_out) for out, of_out in zip(outputs, axes, strict=True)]


def changes(sample: Sample, outputs: list[Tensor], *index: object) -> list[Tensor]:
    """The change of each element of the outputs with the entries of the input at an index."""
    x = X.clone()
    x[index] += 0.25 * images(*x.shape, seed=22)[index]
    return [
        (after - before).abs() if after.shape == before.shape else torch.ones(before.shape)
        for before, after in zip(outputs, run(sample, x), strict=True)
    ]


def index_along(axis: Axis, out: Tensor) -> Tensor:
    """The index of each element of ``out`` on an axis, by the definition of its parts."""
    element, index = torch.arange(out.numel()), torch.zeros(out.numel(), dtype=torch.int64)
    for part in axis.parts:
        index = index * part.size + element // part.stride % part.size
    return index.reshape(out.shape)


def holds_samples(axis: Axis, changed: list[Tensor]) -> bool:
    """Returns whether changes of sample n are at index n of an axis alone."""
    return all(not change[index_along(axis, change) != n].any() for n, change in enumerate(changed))


def has_samples_in_order(changed: list[Tensor]) -> bool | None:
    """Returns whether there is such an axis; ``None`` if the samples are coupled."""
    numel = changed[0].numel()
    strides = [s for s in range(1, numel // 2 + 1) if numel % (2 * s) == 0]
    axes = [Axis((Part(2, stride),)) for stride in strides]
    if any(holds_samples(axis, changed) for axis in axes):
        return True
    return False if any(holds_samples(axis, changed[::-1]) for axis in axes) else None


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_where_the_axis_places_them(name: str) -> None:
    followed = False
    for sample in SAMPLES[name]:
        outputs = trace(sample)
        tensors = [out for out, _ in outputs]
        changed = zip(*(changes(sample, tensors, n) for n in (0, 1)), strict=True)
        for (_, axes), of_samples in zip(outputs, changed, strict=True):
            in_order = has_samples_in_order(list(of_samples))
            if "sample" in axes and in_order is not None:
                followed = True
                assert in_order and axes["sample"].size == 2
                assert holds_samples(axes["sample"], list(of_samples))
    assert followed or OPERATIONS[name].axes not in FOLLOWED


@pytest.mark.parametrize("name", [n for n in SAMPLES if not OPERATIONS[n].is_random])
def test_the_pixels_are_where_the_axes_place_them(name: str) -> None:
    """The centres of changes in successive rows, of one operand at least, are in their order."""
    for sample in SAMPLES[name]:
        outputs = trace(sample)
        for axis, before in (("height", ()), ("width", (slice(None),))):
            if any(axis in axes for _, axes in outputs):
                centres = [
                    centres_of_changes(sample, outputs, axis, slice(None), operand, *before)
                    for operand in OPERANDS
                ]
                for of_output in zip(*centres, strict=True):
                    compared = [centre for centre in of_output if len(centre) > 1]
                    assert not compared or any(map(is_in_order, compared)), compared


def centres_of_changes(
    sample: Sample, outputs: list[tuple[Tensor, Axes]], axis: str, *before: slice
) -> list[list[float]]:
    """For each output, the centres on an axis of what differs with pixel 0, 1, 2, 3."""
    centres: list[list[float]] = [[] for _ in outputs]
    for pixel in range(4):
        changed = changes(sample, [out for out, _ in outputs], *before, pixel)
        for k, ((out, axes), change) in enumerate(zip(outputs, changed, strict=True)):
            if axis in axes and change.any():
                weight = change.square() / change.square().sum()
                centres[k].append(float((weight * index_along(axes[axis], out)).sum()))
    return centres


def is_in_order(centres: list[float]) -> bool:
    steps = torch.tensor([centres, list(range(len(centres)))])
    return float(torch.corrcoef(steps)[0, 1]) > 0.4
