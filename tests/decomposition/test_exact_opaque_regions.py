"""Operations that nobody sees: their bias is counted, per sample, and marked ``not_localized``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from tests.decomposition.exact import Around, assert_around_exact, assert_exact
from tests.decomposition.redrawn import images


class Swish(torch.autograd.Function):
    """The memory-saving SiLU of many EfficientNets."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z * torch.sigmoid(z)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        s = torch.sigmoid(z)
        return gradient * s * (1 + z * (1 - s))


class SwishInPlace(Swish):
    """The same, overwriting its operand."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.mark_dirty(z)
        ctx.save_for_backward(z.clone())
        return z.copy_(z * torch.sigmoid(z))


class SinAndCos(torch.autograd.Function):
    """Two operands and two outputs, of which the second may stay unused."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(a, b)
        return torch.sin(a) * b, torch.cos(a)

    @staticmethod
    def backward(ctx: Any, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        return one * torch.cos(a) * b - two * torch.sin(a), one * torch.sin(a)


class StraightThrough(torch.autograd.Function):
    """Rounds forward, passes the gradient backward: b = round(z) − z."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return z.round()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def deformable(mask: bool) -> Callable[[Tensor], Tensor]:
    """Offsets, and the mask, computed from the image."""
    weight, bias = images(4, 4, 3, 3, seed=3), images(1, 4, seed=4)[0]

    def forward(z: Tensor) -> Tensor:
        offset = 0.3 * torch.tanh(z.repeat(1, 5, 1, 1)[:, :18])
        weights = torch.sigmoid(z.repeat(1, 3, 1, 1)[:, :9]) if mask else None
        return deform_conv2d(z, offset, weight, bias, padding=1, mask=weights)

    return forward


UNSEEN = {
    "custom function": Swish.apply,
    "custom function twice in a row": lambda z: Swish.apply(Swish.apply(z)),
    "custom function in place": lambda z: SwishInPlace.apply(z * 1),
    "custom function with fan-out": lambda z: Swish.apply(z) * z + torch.tanh(Swish.apply(z)),
    "two outputs": lambda z: torch.cat(SinAndCos.apply(z, z.tanh()), 1),
    "an unused output": lambda z: SinAndCos.apply(z[:, :2], z[:, 2:])[0],
    "one operand constant": lambda z: SinAndCos.apply(z, torch.ones_like(z))[0] + 1,
    "between transposes": lambda z: Swish.apply(z.transpose(0, 1)).transpose(0, 1),
    "deformable convolution": deformable(mask=False),
    "deformable convolution, masked": deformable(mask=True),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_unseen_operations_are_counted(name: str) -> None:
    x = images()
    fg = assert_around_exact(Around(UNSEEN[name], x), x, not_localized=True)
    marked = [site for site in fg.sites.values() if site.kind == "not_localized"]
    assert all(site.spatial is None for site in marked)
    assert all(fg.bias_terms[site.name].abs().min() > 0 for site in marked)


def test_a_custom_function_counts_as_much_as_the_same_operation_seen() -> None:
    x = images()
    seen, unseen = Around(nn.SiLU(), x), Around(Swish.apply, x)
    one, other = assert_exact(seen, x), assert_exact(unseen, x, not_localized=True)
    (name,) = (n for n, site in other.sites.items() if site.kind == "not_localized")
    torch.testing.assert_close(other.bias_terms[name], one.bias_terms["middle"])
    assert one.sites["stem"].kind == other.sites["stem"].kind == "parameter"


def test_a_straight_through_gradient_has_the_bias_that_its_backward_implies() -> None:
    """⟨g, round(z) − z⟩: the gradient is not the derivative, the decomposition still adds up."""
    x = images()
    net = Around(StraightThrough.apply, x)
    fg = assert_exact(net, x, not_localized=True)
    (name,) = (n for n, site in fg.sites.items() if site.kind == "not_localized")
    with torch.no_grad():
        z = net.stem(x)
        expected = (net.gradient_at_middle(x) * (z.round() - z)).flatten(1).sum(1)
    torch.testing.assert_close(fg.bias_terms[name], expected)


def test_the_share_of_what_is_not_localized_is_told() -> None:
    x = images()
    fg = assert_exact(Around(Swish.apply, x), x, not_localized=True)
    shares = fg.share_by_kind()
    assert (shares["not_localized"] > 0).all()
    torch.testing.assert_close(sum(shares.values()), torch.ones(3, dtype=torch.float64))
