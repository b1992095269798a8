"""Attention in all its forms, masked too, and layouts in which samples could be mixed up."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.decomposition.exact import Around, assert_around_exact
from tests.decomposition.redrawn import images

T, C = 5, 8  # tokens, width: x is (N, T, C) with N = 3


def tokens(n: int = 3, t: int = T) -> Tensor:
    return images(n, t, C)


def around(middle: Callable[[Tensor], Tensor] | nn.Module, x: Tensor) -> Around:
    return Around(middle, x, nn.Linear(C, C))


def heads(z: Tensor, n: int = 2) -> Tensor:
    return z.unflatten(-1, (n, -1)).transpose(1, 2)


def merged(z: Tensor) -> Tensor:
    return z.transpose(1, 2).flatten(2)


CAUSAL = torch.ones(T, T, dtype=torch.bool).tril()
MASKED = torch.zeros(T, T, dtype=torch.float64).masked_fill(~CAUSAL, -torch.inf)
POSITION_BIAS = images(2, T, T, seed=7)
KEEP = images(T, T, seed=8) > -0.5


def by_hand(mask: Tensor | None, in_place: bool = False) -> Callable[[Tensor], Tensor]:
    def attend(z: Tensor) -> Tensor:
        q, k, v = (heads(z.roll(i, -1)) for i in range(3))
        scores = q @ k.transpose(-2, -1) / sqrt(q.shape[-1])
        if mask is not None and mask.dtype == torch.bool:
            scores = (scores.masked_fill_ if in_place else scores.masked_fill)(~mask, -torch.inf)
        elif mask is not None:
            scores = scores + mask
        return merged(scores.softmax(-1) @ v)

    return attend


def fused(**options: object) -> Callable[[Tensor], Tensor]:
    def attend(z: Tensor) -> Tensor:
        q, k, v = (heads(z.roll(i, -1)) for i in range(3))
        return merged(F.scaled_dot_product_attention(q, k, v, **options))

    return attend


class SelfAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention as a function of one operand."""

    def __init__(self, mask: Tensor | None = None, weights: bool = False, **options: object):
        super().__init__(C, 2, **options)
        self.mask, self.weights = mask, weights

    def forward(self, z: Tensor) -> Tensor:
        y, weights = super().forward(z, z, z, attn_mask=self.mask, need_weights=self.weights)
        return y if weights is None else torch.cat([y, weights @ z], -1)


def cross_attention() -> nn.Module:
    class Cross(nn.MultiheadAttention):
        def __init__(self) -> None:
            super().__init__(C, 2, batch_first=True, kdim=4, vdim=4)
            self.query = nn.Parameter(torch.zeros(1, 3, C))

        def forward(self, z: Tensor) -> Tensor:
            query, key = self.query.expand(len(z), -1, -1), z[..., :4]
            return super().forward(query, key, key.tanh())[0]

    return Cross()


def linear_attention(z: Tensor) -> Tensor:
    q, k, v = (heads(z.roll(i, -1)) for i in range(3))
    q, k = F.elu(q) + 1, F.elu(k) + 1
    context = torch.einsum("bhnd,bhne->bhde", k, v)
    norm = torch.einsum("bhnd,bhd->bhn", q, k.sum(2))
    return merged(torch.einsum("bhnd,bhde->bhne", q, context) / norm[..., None])


def baddbmm_attention(z: Tensor) -> Tensor:
    scores = torch.baddbmm(POSITION_BIAS[:1], z, z.transpose(1, 2), beta=0.5, alpha=0.3)
    return scores.softmax(-1).bmm(z)


def encoder(**options: object) -> nn.Module:
    return nn.TransformerEncoderLayer(C, 2, 16, **options)


ATTENTION = {
    "by hand": lambda: by_hand(None),
    "by hand, masked": lambda: by_hand(CAUSAL),
    "by hand, masked in place": lambda: by_hand(CAUSAL, in_place=True),
    "by hand, minus infinity added": lambda: by_hand(MASKED),
    "relative position bias": lambda: by_hand(POSITION_BIAS),
    "fused": lambda: fused(),
    "fused, causal": lambda: fused(is_causal=True),
    "fused, bool mask": lambda: fused(attn_mask=KEEP | CAUSAL),
    "fused, float mask": lambda: fused(attn_mask=POSITION_BIAS),
    "fused, minus infinity": lambda: fused(attn_mask=MASKED),
    "fused, scaled": lambda: fused(scale=2.0),
    "nn, batch first": lambda: SelfAttention(batch_first=True),
    "nn, batch first, masked": lambda: SelfAttention(~CAUSAL, batch_first=True),
    "nn, with weights": lambda: SelfAttention(weights=True, batch_first=True),
    "nn, with weights, masked": lambda: SelfAttention(MASKED, True, batch_first=True),
    "nn, extra key and value": lambda: SelfAttention(add_bias_kv=True, batch_first=True),
    "nn, zero attention": lambda: SelfAttention(add_zero_attn=True, batch_first=True),
    "nn, cross attention to a parameter": cross_attention,
    "linear attention": lambda: linear_attention,
    "baddbmm": lambda: baddbmm_attention,
    "encoder layer": lambda: encoder(batch_first=True),
    "encoder layer, norm first": lambda: encoder(batch_first=True, norm_first=True),
    "encoder layer, gelu": lambda: encoder(batch_first=True, activation="gelu"),
    "encoder": lambda: nn.TransformerEncoder(encoder(batch_first=True), 2),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_exact(name: str) -> None:
    x = tokens()
    assert_around_exact(around(ATTENTION[name](), x), x)


def _attention_bias(z: Tensor, mask: Tensor | None) -> Tensor:
    """y = P·v with P = softmax(S), S = q·kᵀ of degree 2: b = −(dP)·v, dP = P⊙(2S − ⟨P, 2S⟩)."""
    q, k, v = (heads(z.roll(i, -1)) for i in range(3))
    scores = q @ k.transpose(-2, -1) / sqrt(q.shape[-1])
    p = (scores if mask is None else scores + mask).softmax(-1)
    change = p * (2 * scores - (p * 2 * scores).sum(-1, keepdim=True))
    return -merged(change @ v)


@pytest.mark.parametrize(
    ("mask", "options"),
    [
        (None, {}),
        (MASKED, {"is_causal": True}),
        (MASKED, {"attn_mask": CAUSAL}),
        (POSITION_BIAS, {"attn_mask": POSITION_BIAS}),
    ],
    ids=["plain", "causal", "bool", "float"],
)
def test_fused_attention_has_its_closed_form(mask: Tensor | None, options: dict) -> None:
    x = tokens()
    net = around(fused(**options), x)
    fg = assert_around_exact(net, x)
    name = "middle.scaled_dot_product_attention"
    found = merged(fg.bias_gradients[name].values)
    with torch.no_grad():
        expected = net.gradient_at_middle(x) * _attention_bias(net.stem(x), mask)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("mask", [CAUSAL, None], ids=["masked", "plain"])
def test_attention_by_hand_has_its_closed_forms(mask: Tensor | None) -> None:
    """Softmax: g·p⊙(1 − s + ⟨p, s⟩), 0 where masked; the last product: −g·y."""
    x = tokens()
    net = around(by_hand(mask), x)
    fg = assert_around_exact(net, x)
    with torch.no_grad():
        g, z = heads(net.gradient_at_middle(x)), net.stem(x)
        q, k, v = (heads(z.roll(i, -1)) for i in range(3))
        scores = q @ k.transpose(-2, -1) / sqrt(q.shape[-1])
        p = (scores if mask is None else scores + MASKED).softmax(-1)
        softmax = g @ v.transpose(-2, -1) * p * (1 - scores + (p * scores).sum(-1, keepdim=True))
    assert all(b.values.isfinite().all() for b in fg.bias_gradients.values())
    found = fg.bias_gradients
    torch.testing.assert_close(found["middle.softmax"].values, softmax, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found["middle.matmul#2"].values, -g * (p @ v), rtol=1e-9, atol=1e-11)


SEQUENCE_FIRST = {
    "attention": lambda: SelfAttention(),
    "encoder layer": lambda: encoder(),
    "encoder layer, norm first": lambda: encoder(norm_first=True, activation="gelu"),
    "gelu": lambda: F.gelu,
    "softmax over time": lambda: lambda z: z.softmax(0),
    "position bias": lambda: lambda z: torch.sigmoid(z + images(z.shape[0], 1, C, seed=5)),
    "mean over channels": lambda: lambda z: torch.sigmoid(z.mean(-1, keepdim=True)) * z,
    "lstm": lambda: _Recurrent(nn.LSTM(C, C)),
}


class _Recurrent(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)[0]


class _SequenceFirst(nn.Module):
    def __init__(self, inner: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor) -> Tensor:
        return self.inner(z.transpose(0, 1).contiguous()).transpose(0, 1)


@pytest.mark.parametrize("t", [3, 4], ids=["T = N", "T ≠ N"])
@pytest.mark.parametrize("name", SEQUENCE_FIRST)
def test_samples_are_not_mixed_up_with_time(name: str, t: int) -> None:
    """(T, N, C) with T = N: no size tells which of the two holds the samples."""
    x = tokens(3, t)
    assert_around_exact(around(_SequenceFirst(SEQUENCE_FIRST[name]()), x), x)
