"""Calls of convolutions, norms, affine operations, products and powers."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.decomposition.rule_operands import (
    B3,
    B5,
    I0,
    IC,
    INDEX,
    MASK,
    SLOPE,
    W2,
    WT,
    C,
    Sample,
    aten,
    in_place,
    joined,
    line,
    of_tensor,
    set_item,
    volume,
)


def _batch_norm(affine: bool) -> Sample:
    mean, var = B3, B3.square() + 0.5
    gamma, beta = (SLOPE, B3.flip(0)) if affine else (None, None)
    return lambda a, _: F.batch_norm(a, mean, var, gamma, beta, eps=0.1)


def convolutions() -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {
        "linear": [
            lambda a, _: F.linear(a, W2[:, 0].flatten(1), B5),
            lambda a, _: F.linear(a, W2[:, 0].flatten(1)),
            lambda a, b: F.linear(a, b[0, 0]),
            lambda a, b: F.linear(a, b[0, 0], B5[:4]),
            lambda a, b: F.linear(a, b[0, 0], b[0, 0, 0]),
            lambda a, b: F.linear(C, a[0, 0], B5[:4]),
            lambda a, b: F.linear(a, W2[:, 0].flatten(1), b.flatten()[:5]),
        ],
        "convolution": [
            lambda a, _: aten.convolution(a, W2, B5, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
            lambda a, _: torch.convolution(a, WT, B5, [2, 2], [0, 0], [1, 1], True, [1, 1], 1),
        ],
        "batch_norm": [_batch_norm(True), _batch_norm(False)],
    }
    for d in (1, 2, 3):
        weight, transposed = (
            w.flatten(2)[..., :2].reshape(*w.shape[:2], *[1] * (d - 1), 2) for w in (W2, WT)
        )
        shape = {1: line, 2: lambda a: a, 3: volume}[d]
        if d == 3:
            weight, transposed = weight.mT, transposed.mT  # (…, 2, 1)
        conv, back = getattr(F, f"conv{d}d"), getattr(F, f"conv_transpose{d}d")
        samples[f"conv{d}d"] = [
            lambda a, _, c=conv, s=shape, w=weight: c(s(a), w, B5),
            lambda a, _, c=conv, s=shape, w=weight: c(s(a), w, None, padding=1),
            lambda a, b, c=conv, s=shape: c(s(a), s(b)),
            lambda a, b, c=conv, s=shape: c(s(a), s(b), B5[:2]),
            lambda a, b, c=conv, s=shape: c(s(C), s(b), B5[:2]),
        ]
        samples[f"conv_transpose{d}d"] = [
            lambda a, _, c=back, s=shape, w=transposed: c(s(a), w, B5, stride=2),
            lambda a, b, c=back, s=shape: c(s(a), s(b)[:1].transpose(0, 1)),
        ]
    return samples


def affine() -> dict[str, list[Sample]]:
    return {
        "add": [
            lambda a, b: a + b,
            lambda a, _: a + C,
            lambda a, _: 1.5 + a,
            lambda a, _: torch.add(C, a, alpha=2),
            lambda a, _: in_place(a, "add_", C),
            lambda a, _: a + a,
        ],
        "sub": [
            lambda a, b: a - b,
            lambda a, _: a - C,
            lambda a, _: C - a,
            lambda a, _: in_place(a, "sub_", 2),
        ],
        "rsub": [lambda a, _: 1 - a, lambda a, b: torch.rsub(a, b), lambda a, _: torch.rsub(a, C)],
        "where": [
            lambda a, b: torch.where(MASK, a, b),
            lambda a, _: torch.where(MASK, C, a),
            lambda a, _: a.where(a > 0, 2.0),
        ],
        "pad": [
            lambda a, _: F.pad(a, (1, 2)),
            lambda a, _: F.pad(a, (1, -1), value=3.0),
            lambda a, _: F.pad(a, (1, 2, 0, 1), "reflect"),
            lambda a, _: F.pad(a, (0, 1, 1, 0), "circular"),
        ],
        "constant_pad_nd": [
            lambda a, _: torch.constant_pad_nd(a, (1, 1), 2.0),
            lambda a, _: torch.constant_pad_nd(a, (1, 1)),
        ],
        "masked_fill": [
            lambda a, _: a.masked_fill(MASK, 2.0),
            lambda a, _: a.masked_fill(MASK, 0),
            lambda a, b: a.masked_fill(MASK, b[0, 0, 0, 0]),
            lambda a, _: C.masked_fill(MASK, a[0, 0, 0, 0]),
            lambda a, _: a.masked_fill(MASK, C[0, 0, 0, 0]),
            lambda a, _: in_place(a, "masked_fill_", MASK, -1.0),
        ],
        "setitem": [
            lambda a, b: set_item(a * 1, (0, 1), b[0, 0]),
            lambda a, _: set_item(C * 1, 0, a[0]),
            lambda a, _: set_item(a * 1, MASK, 0.5),
            lambda a, _: set_item(a * 1, 1, C[1]),
            lambda a, _: set_item(a * 1, MASK, 0.0),
            lambda a, _: set_item(C * 1, I0, a),
            lambda a, _: set_item(C * 1, (slice(None), IC), a),
        ],
        "copy": [
            lambda a, _: torch.zeros_like(C).copy_(a),
            lambda a, b: (a * 1).copy_(b),
            lambda a, _: in_place(a, "copy_", C),
            lambda a, _: (C * 1).copy_(a[:, :, :1]),
        ],
        "fill": [
            lambda a, _: in_place(a, "fill_", 2.0),
            lambda a, b: in_place(a, "fill_", b[0, 0, 0, 0]),
        ],
        "zero": [lambda a, _: in_place(a, "zero_")],
        "index_put": [
            lambda a, b: a.index_put(
                (I0.sort()[0][:, None], IC[None, :2]), b[:, :2, 0, 0, None, None]
            ),
            lambda a, _: C.index_put((I0,), a),
            lambda a, _: a.index_put((I0,), C),
            lambda a, _: C.index_put((I0,), a, accumulate=True),
        ],
        "index_fill": [
            lambda a, _: a.index_fill(1, IC[:2], 2.0),
            lambda a, b: a.index_fill(1, IC[:2], b[0, 0, 0, 0]),
        ],
        "index_copy": [
            lambda a, b: a.index_copy(1, IC, b),
            lambda a, _: C.index_copy(0, I0[:1], a[:1]),
        ],
        "index_add": [
            lambda a, b: a.index_add(1, IC, b, alpha=2),
            lambda a, _: C.index_add(0, I0, a),
        ],
        "masked_scatter": [
            lambda a, b: a.masked_scatter(MASK, b),
            lambda a, _: a.masked_scatter(MASK, C),
        ],
        "scatter": [
            lambda a, b: a.scatter(1, INDEX, b),
            lambda a, _: a.scatter(1, INDEX[:, :2], 2.0),
            lambda a, _: C.scatter(1, INDEX, a),
        ],
        "scatter_add": [
            lambda a, b: a.scatter_add(1, INDEX, b),
            lambda a, _: C.scatter_add(1, INDEX, a),
        ],
        "slice_scatter": [
            lambda a, b: a.slice_scatter(b[:, :2], 1, 0, 2),
            lambda a, _: C.slice_scatter(a[:, :2], 1, 0, 2),
        ],
        "select_scatter": [
            lambda a, b: a.select_scatter(b[0], 0, 1),
            lambda a, _: a.select_scatter(C[0], 0, 1),
        ],
        "cat": [*joined(torch.cat), lambda a, b: torch.cat([a, b], 1)],
        **{
            name: joined(getattr(torch, name))
            for name in ("stack", "hstack", "vstack", "dstack", "column_stack")
        },
    }


def products() -> dict[str, list[Sample]]:
    return {
        "mul": [
            lambda a, b: a * b,
            lambda a, _: 3 * a,
            lambda a, _: a * C,
            lambda a, _: a * a,
            lambda a, b: in_place(a, "mul_", b),
        ],
        "matmul": [lambda a, b: a @ b, lambda a, _: C @ a],
        "mm": [lambda a, b: a[0, 0].mm(b[0, 0]), lambda a, _: a[:, 0, 0].mm(C[0, 0])],
        "bmm": [lambda a, b: a[:, 0].bmm(b[:, 0]), lambda a, _: C[0].bmm(a[0])],
        "mv": [lambda a, b: a[0, 0].mv(b[0, 0, 0]), lambda a, _: a[:, 0, 0].mv(C[0, 0, 0])],
        "dot": [lambda a, b: a[0, 0, 0].dot(b[0, 0, 0])],
        "inner": [lambda a, b: torch.inner(a, b), lambda a, _: torch.inner(a, C)],
        "outer": [lambda a, b: torch.outer(a[0, 0, 0], b[0, 0, 0])],
        "einsum": [
            lambda a, b: torch.einsum("nchw,nchw->nc", a, b),
            lambda a, b: torch.einsum("nchw,nchv,nchu->nwvu", a, b, a),
            lambda a, b: torch.einsum("nchw,nchv,nchu->nwvu", [a, C, b]),
            lambda a, _: torch.einsum("nchw->nwc", a),
        ],
        "tensordot": [
            lambda a, b: torch.tensordot(a, b, dims=([1], [1])),
            lambda a, _: torch.tensordot(a, C, dims=([0, 1], [0, 1])),
        ],
        "kron": [
            lambda a, b: torch.kron(a[0, 0], b[0, 0]),
            lambda a, _: torch.kron(C[0, 0], a[0, 0]),
        ],
    }


def degrees() -> dict[str, list[Sample]]:
    return {
        "square": of_tensor("square"),
        "sqrt": [lambda a, _: a.abs().sqrt()],
        "rsqrt": [lambda a, _: a.abs().rsqrt()],
        "reciprocal": of_tensor("reciprocal"),
        "var": [lambda a, _: a.var(1), lambda a, _: torch.var(a, (1, 2), correction=0)],
        "div": [
            lambda a, b: a / b,
            lambda a, _: a / 3,
            lambda a, _: C / a,
            lambda a, _: a.div_(C),
            lambda a, _: a / a,
        ],
        "pow": [
            lambda a, _: a**2,
            lambda a, _: a.pow(-1),
            lambda a, _: a.abs().pow(0.3),
            lambda a, _: a**0,
            lambda a, b: a.abs() ** b,
            lambda a, _: torch.pow(2, a),
        ],
        "max": [
            lambda a, _: a.max(),
            lambda a, _: a.max(1),
            lambda a, b: torch.max(a, b),
            lambda a, _: torch.max(a, C),
        ],
        "min": [
            lambda a, _: a.min(),
            lambda a, _: a.min(1, keepdim=True),
            lambda a, b: a.min(b),
            lambda a, _: a.min(C),
        ],
        "dropout": [
            lambda a, _: torch.dropout(a, 0.5, False),
            lambda a, _: F.dropout(a, 0.5, False),
        ],
    }
