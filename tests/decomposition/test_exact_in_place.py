"""In-place operations destroy operands: the decomposition must have looked before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fullgrad_lightning as fgl
from tests.decomposition.exact import Around, assert_around_exact, inside_middle
from tests.decomposition.redrawn import images


def relu_in_place(z: Tensor) -> Tensor:
    return F.relu(z * 1, inplace=True) + z


def plus_equals(z: Tensor) -> Tensor:
    y = torch.sigmoid(z) * 1
    y += z
    y += 1
    y -= 0.5 * z
    return y


def times_equals(z: Tensor) -> Tensor:
    y = z + 1
    y *= torch.sigmoid(z)
    y /= 1 + z.square()
    return y


def times_itself(z: Tensor) -> Tensor:
    y = z + 1
    return y.mul_(y.clone())


def squared_in_place(z: Tensor) -> Tensor:
    y = z + 1
    y **= 3
    return y


def gate_in_place(z: Tensor) -> Tensor:
    y = z * 1
    y.mul_(F.hardsigmoid(F.adaptive_avg_pool2d(z, 1)))
    return y


def through_a_view(z: Tensor) -> Tensor:
    y = z * 1
    F.silu(y[:, :2], inplace=True)
    return y


def through_a_view_of_a_view(z: Tensor) -> Tensor:
    y = z + 1
    y.permute(0, 2, 3, 1)[..., 1:3].flatten(0, 1)  # a copy, which changes nothing
    y.permute(0, 2, 3, 1)[:, ::2, :, 1:3].mul_(y[:, 1:3, ::2].permute(0, 2, 3, 1).sigmoid())
    return y


def through_a_transpose(z: Tensor) -> Tensor:
    y = z * 1
    y.transpose(1, 3).add_(1).tanh_()
    return y


def gate_through_a_view(z: Tensor) -> Tensor:
    y = torch.tanh(z) + 0
    y[:, 1:3] *= torch.sigmoid(z[:, :2])
    y[:, 0] += 1
    return y


def added_through_a_view(z: Tensor) -> Tensor:
    y = F.pad(z, (1, 1, 1, 1))
    y[:, :, 1:-1, 1:-1] += torch.sigmoid(z)
    return y


def view_taken_before_the_write(z: Tensor) -> Tensor:
    y = z * 1
    part = y[:, :2]
    whole = y + 2
    y.clamp_(-1, 1)
    return torch.cat([part, whole], 1) * 2


def buffer_by_slices(z: Tensor) -> Tensor:
    buffer = torch.full_like(z, 2.0)
    buffer[:, :2] = torch.sigmoid(z[:, :2])
    buffer[:, 3] = z[:, 3]
    return buffer * z


def buffer_by_copy_through_views(z: Tensor) -> Tensor:
    buffer = torch.ones(z.shape[0], 6, 6, 6, dtype=z.dtype)
    buffer[:, :4].copy_(torch.tanh(z))
    buffer.narrow(1, 4, 1).add_(z[:, :1])
    return buffer


def buffer_token_by_token(z: Tensor) -> Tensor:
    tokens = z.flatten(2)
    buffer = z.new_zeros(z.shape[0], 4, 36)
    for i in range(3):
        buffer[:, :, i] = torch.sigmoid(tokens[..., i]) * tokens[..., i + 1]
    return buffer


def buffer_masked(z: Tensor) -> Tensor:
    y = z * 1
    y[y > 1] = 0.5
    y.masked_fill_(y < -1, -0.25)
    return y


def buffer_indexed(z: Tensor) -> Tensor:
    index = torch.tensor([2, 0])
    y = torch.ones_like(z).index_copy_(1, index, torch.sigmoid(z[:, :2]))
    y.index_add_(1, index, z[:, 2:])
    return y.index_put((torch.arange(len(z)), index[:1]), z[:, 3])


def silu_of_a_shared_tensor(z: Tensor) -> Tensor:
    y = z + 0.5
    before = torch.cat([y, 2 - y], 1)[:, 2:6]
    after = F.silu(y, inplace=True)
    return torch.sigmoid(before) * after + y


def hardswish_of_a_shared_tensor(z: Tensor) -> Tensor:
    y = z + 0.5
    added = y + 1
    F.hardswish(y, inplace=True)
    return added + y * 2


def pending_operand_is_overwritten(z: Tensor) -> Tensor:
    """The softmax needs its input only for the bias: autograd keeps the output instead."""
    y = 2 * z
    p = torch.softmax(y, 1)
    s = torch.sigmoid(y)
    t = torch.tanh(y[:, 1:])
    y.zero_()
    return torch.cat([p, s, t], 1)


def pending_constant_is_overwritten(z: Tensor) -> Tensor:
    constant = torch.ones_like(z)
    y = z + constant
    constant.mul_(5)
    return y * constant


def pending_bias_is_overwritten(z: Tensor) -> Tensor:
    """Autograd does not keep a convolution's bias, and so allows this."""
    bias = torch.ones(4, dtype=z.dtype)
    y = F.conv2d(z, torch.eye(4, dtype=z.dtype)[..., None, None], bias)
    bias.mul_(5)
    return y + bias[:, None, None]


def dropout_in_place(z: Tensor) -> Tensor:
    return F.dropout(torch.sigmoid(z), 0.5, training=False, inplace=True)


def input_modified_in_place(z: Tensor) -> Tensor:
    z -= 0.5
    z /= 0.3
    return torch.sigmoid(z)


FUNCTIONS: list[Callable[[Tensor], Tensor]] = [
    relu_in_place, plus_equals, times_equals, times_itself, squared_in_place, gate_in_place,
    through_a_view, through_a_view_of_a_view, through_a_transpose, gate_through_a_view,
    added_through_a_view, view_taken_before_the_write, buffer_by_slices,
    buffer_by_copy_through_views, buffer_token_by_token, buffer_masked, buffer_indexed,
    silu_of_a_shared_tensor, hardswish_of_a_shared_tensor, pending_operand_is_overwritten,
    pending_constant_is_overwritten, pending_bias_is_overwritten, dropout_in_place,
    input_modified_in_place,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_exact_in_place(function: Callable[[Tensor], Tensor]) -> None:
    x = 2 * images()
    assert_around_exact(Around(function, x), x)


@pytest.mark.parametrize(
    ("in_place", "out_of_place"),
    [
        (nn.SiLU(inplace=True), nn.SiLU()),
        (nn.Hardswish(inplace=True), nn.Hardswish()),
        (lambda z: (z * 1).mul_(z), lambda z: z * z),
        (lambda z: torch.zeros_like(z).copy_(torch.tanh(z)), torch.tanh),
        (lambda z: (z + 1).sub_(3).tanh_(), lambda z: torch.tanh(z + 1 - 3)),
    ],
    ids=["silu", "hardswish", "mul", "copy", "chain"],
)
def test_in_place_and_out_of_place_have_the_same_bias_gradients(
    in_place: Callable[[Tensor], Tensor], out_of_place: Callable[[Tensor], Tensor]
) -> None:
    x = images()
    one, other = (assert_around_exact(Around(f, x), x) for f in (in_place, out_of_place))
    torch.testing.assert_close(inside_middle(one), inside_middle(other), rtol=1e-12, atol=1e-13)


def test_the_callers_input_survives_a_model_that_overwrites_it() -> None:
    x = images()
    before = x.clone()
    net = nn.Sequential(nn.ReLU(inplace=True), Around(nn.SiLU(inplace=True), x)).eval()
    fg = fgl.full_gradients(net, x)
    assert fg.relative_residual.max() <= 1e-12
    torch.testing.assert_close(x, before, rtol=0, atol=0)
