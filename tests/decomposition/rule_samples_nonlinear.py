"""Calls of non-linearities, norms, recurrent layers, and whatever draws random numbers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import deform_conv2d

from tests.decomposition.redrawn import redraw
from tests.decomposition.rule_operands import (
    B3,
    B5,
    INDEX,
    SLOPE,
    W2,
    C,
    Sample,
    in_place,
    of_torch,
)

GAMMA = torch.linspace(1, 1.5, 4, dtype=torch.float64)
_ELEMENTWISE = "sigmoid tanh elu selu mish hardsigmoid silu hardswish gelu relu6 hardtanh"


def nonlinearities() -> dict[str, list[Sample]]:
    return {
        **{name: [lambda a, _, n=name: getattr(F, n)(a * 3)] for name in _ELEMENTWISE.split()},
        "softmax": of_torch("softmax", 1),
        "glu": [lambda a, _: F.glu(a, 3)],
        "logsumexp": of_torch("logsumexp", 1),
        "prod": of_torch("prod", 1),
        "cdist": [
            lambda a, b: torch.cdist(a, b),
            lambda a, _: torch.cdist(a, C),
            lambda a, b: torch.cdist(a[0], b[0, :, :2]),
        ],
        "linalg_vector_norm": [
            lambda a, _: a.norm(dim=1),
            lambda a, _: torch.linalg.vector_norm(a, 3, (1, 2), keepdim=True),
            lambda a, _: torch.linalg.vector_norm(a, 0, 1),
        ],
        "scatter_reduce": [lambda a, b: a.scatter_reduce(1, INDEX, b, "sum")],
        "scaled_dot_product_attention": [
            lambda a, b: F.scaled_dot_product_attention(a, b, a + b),
            lambda a, b: F.scaled_dot_product_attention(a, b, C),
        ],
        "fractional_max_pool2d": [
            lambda a, _: F.fractional_max_pool2d(
                a, 2, output_size=2, _random_samples=torch.full((2, 3, 2), 0.4).to(a)
            )
        ],
    }


def norms() -> dict[str, list[Sample]]:
    return {
        "layer_norm": [lambda a, _: F.layer_norm(a, (4,), GAMMA, C[0, 0, 1])],
        "group_norm": [lambda a, _: F.group_norm(a, 3, SLOPE, B3)],
        "instance_norm": [lambda a, _: F.instance_norm(a, weight=SLOPE, bias=B3)],
        "rms_norm": [lambda a, _: F.rms_norm(a, (4,), GAMMA)],
        "local_response_norm": [lambda a, _: F.local_response_norm(a, 2)],
        "normalize": [lambda a, _: F.normalize(a, dim=1)],
    }


def layers() -> dict[str, list[Sample]]:
    offset = C[:, :1, :3, :3].repeat(1, 8, 1, 1) / 3
    return {
        "addmm": [lambda a, _: torch.addmm(C[:, 0, 0], a[:, 0, 0], C[0, 0])],
        "addmv": [lambda a, _: torch.addmv(C[:, 0, 0, 0], a[:, 0, 0], C[0, 0, 0])],
        "baddbmm": [lambda a, b: torch.baddbmm(C[:, 0], a[:, 0], b[:, 0])],
        "deform_conv2d": [lambda a, _: deform_conv2d(a, offset, W2, B5)],
        **{name.lower(): [_recurrent(getattr(nn, name)(4, 5))] for name in ("LSTM", "GRU")},
        **{f"rnn_{act}": [_recurrent(nn.RNN(4, 5, nonlinearity=act))] for act in ("tanh", "relu")},
        "lstm_cell": [_cell(nn.LSTMCell(4, 5))],
        "gru_cell": [_cell(nn.GRUCell(4, 5))],
    }


def _recurrent(layer: nn.Module) -> Sample:
    layer = redraw(layer.double()).requires_grad_(False)
    return lambda a, _: layer(a[:, 0].transpose(0, 1))[0]


def _cell(cell: nn.Module) -> Sample:
    cell = redraw(cell.double()).requires_grad_(False)
    return lambda a, _: cell(a[:, 0, 0])


def random_draws() -> dict[str, list[Sample]]:
    draws = "uniform exponential cauchy log_normal"
    return {
        "alpha_dropout": [lambda a, _: F.alpha_dropout(a, 0.5, True)],
        "feature_alpha_dropout": [lambda a, _: F.feature_alpha_dropout(a, 0.5, True)],
        "native_dropout": [lambda a, _: torch.native_dropout(a, 0.5, True)],
        "normal": [lambda a, _: torch.normal(a, 1.0)],
        "bernoulli": [lambda a, _: torch.bernoulli(a.sigmoid() / 2)],
        "poisson": [lambda a, _: torch.poisson(a.abs())],
        "_standard_gamma": [lambda a, _: torch._standard_gamma(a.abs() + 1)],
        "geometric": [lambda a, _: in_place(a, "geometric_", 0.5)],
        **{name: [lambda a, _, n=f"{name}_": in_place(a, n)] for name in draws.split()},
    }
