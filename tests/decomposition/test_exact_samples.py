"""Batches that a network reorders, regroups or joins: no sample may get another one's terms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.decomposition.exact import Around, assert_around_exact, assert_exact
from tests.decomposition.redrawn import images

EXPERTS = images(4, 4, 4, seed=9)


def sorted_by_score(z: Tensor) -> Tensor:
    """As recurrent networks sort their batch by length."""
    order = z.flatten(1).sum(1).argsort()
    return torch.sigmoid(z[order])[order.argsort()]


def sorted_by_index_select(z: Tensor) -> Tensor:
    order = z.flatten(1).sum(1).argsort()
    return torch.sigmoid(z.index_select(0, order)).index_select(0, order.argsort())


def flipped_there_and_back(z: Tensor) -> Tensor:
    return torch.sigmoid(z.flip(0)).flip(0)


def rolled_there_and_back(z: Tensor) -> Tensor:
    return torch.sigmoid(z.roll(1, 0)).roll(-1, 0)


def gathered_there_and_back(z: Tensor) -> Tensor:
    order = z.flatten(1).sum(1).argsort()
    there, back = (o[:, None].expand(-1, 144) for o in (order, order.argsort()))
    return torch.sigmoid(z.flatten(1).gather(0, there)).gather(0, back)


def mixture_of_experts(z: Tensor) -> Tensor:
    """Tokens of all samples, sorted by expert, pass through experts, and are sorted back."""
    tokens = z.flatten(2).transpose(1, 2).flatten(0, 1)
    order = tokens.argmax(1).argsort(stable=True)
    hidden = F.gelu(tokens[order])
    return hidden[order.argsort()].view(len(z), -1, 4)


def mixture_of_experts_by_mask(z: Tensor) -> Tensor:
    tokens = z.flatten(2).transpose(1, 2).flatten(0, 1)
    expert, out = tokens.argmax(1), torch.zeros_like(tokens)
    for i in range(4):
        chosen = expert == i
        out[chosen] = F.silu(tokens[chosen] @ EXPERTS[i])
    return out.view(len(z), -1, 4)


def joined_and_split(z: Tensor) -> Tensor:
    """Two views of each image pass as one batch of 2N."""
    one, other = torch.sigmoid(torch.cat([z, z.flip(3)])).chunk(2)
    return one * other


def windows(z: Tensor) -> Tensor:
    """Swin's: (N·windows, tokens, C), as many windows along a side as samples."""
    w = z.view(len(z), 4, 3, 2, 3, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 4)
    attended = (w @ w.mT).softmax(-1) @ w
    back = attended.view(len(z), 3, 3, 2, 2, 4).permute(0, 5, 1, 3, 2, 4)
    return back.reshape(len(z), 4, 6, 6)


def channels_first_and_last(z: Tensor) -> Tensor:
    return F.layer_norm(z.permute(2, 3, 0, 1), (4,)).permute(2, 3, 0, 1).exp()


def folded_into_the_channels(z: Tensor) -> Tensor:
    """(1, N·C, H, W): the whole batch in one grouped convolution."""
    n = len(z)
    weight = images(4, 1, 3, 3, seed=3).repeat(n, 1, 1, 1)
    y = F.conv2d(z.reshape(1, -1, 6, 6), weight, torch.ones(4 * n).double(), groups=4 * n)
    return F.softplus(y).view(n, 4, 4, 4)


def interleaved(z: Tensor) -> Tensor:
    """Samples repeated, each beside itself: (2N, …)."""
    return torch.tanh(z.repeat_interleave(2, 0)).unflatten(0, (len(z), 2)).mean(1)


REGROUPED: list[Callable[[Tensor], Tensor]] = [
    sorted_by_score, sorted_by_index_select, flipped_there_and_back, rolled_there_and_back,
    gathered_there_and_back, mixture_of_experts, mixture_of_experts_by_mask, joined_and_split,
    windows, channels_first_and_last, folded_into_the_channels, interleaved,
]  # fmt: skip


@pytest.mark.parametrize("function", REGROUPED, ids=lambda f: f.__name__)
def test_no_sample_gets_anothers_terms(function: Callable[[Tensor], Tensor]) -> None:
    x = images()
    assert_around_exact(Around(function, x), x)


def test_an_axis_that_only_looks_like_the_samples() -> None:
    """A head that lets the samples be followed again, after they were confused with C = N."""
    leading = images(7, 5, seed=8)

    def net(x: Tensor) -> Tensor:  # x: (N, C, T), N = C = 3
        y = torch.sigmoid(torch.tensordot(x.permute(2, 0, 1), leading, dims=([0], [0])))
        return y.sum(1)  # (N, C, 5) -> (N, 5)

    assert_exact(net, images(3, 3, 7))
