"""Networks whose every term counts: parameters and statistics redrawn to order one.

Default initialisations leave rows of the decomposition vacuous: torchvision's ViT has a zero head,
ConvNeXt a layer scale of 1e-6, every batch norm a mean of 0, a variance of 1 and a beta of 0.
"""

from __future__ import annotations

from math import prod
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Module = TypeVar("Module", bound=nn.Module)

_WEIGHTED = (nn.Linear, nn.Bilinear, _ConvNd, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)


def redraw(model: Module, seed: int = 0) -> Module:
    """Redraws, in place, all parameters and batch-norm statistics of a model, now in float64.

    Weights get a standard deviation of √(2 / fan-in), so that activations stay of order one
    through ReLUs; all else (biases, gammas, betas, layer scales, class tokens, position embeddings,
    running means) is N(0, 1), running variances are U(0.5, 2). Training flags and the global
    generator are left alone; what is shared is drawn once.
    """
    generator = torch.Generator().manual_seed(seed)
    model = model.double()
    drawn: set[int] = set()
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in drawn:
                    drawn.add(id(parameter))
                    scale = _scale(module, name, parameter)
                    parameter.copy_(scale * _normal(parameter, generator))
            for name, buffer in module.named_buffers(recurse=False):
                if name == "running_mean":
                    buffer.copy_(_normal(buffer, generator))
                elif name == "running_var":
                    uniform = torch.rand(buffer.shape, generator=generator, dtype=torch.float64)
                    buffer.copy_(0.5 + 1.5 * uniform)
    return model


def images(n: int = 3, *shape: int, seed: int = 1) -> Tensor:
    """(n, *shape) of N(0, 1), by default (n, 3, 6, 6): samples of different content, float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *(shape or (3, 6, 6)), generator=generator, dtype=torch.float64)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=torch.float64)


def _scale(module: nn.Module, name: str, parameter: Tensor) -> float:
    is_weight = parameter.ndim >= 2 and "bias" not in name
    if not is_weight or not (isinstance(module, _WEIGHTED) or _is_parametrization(name)):
        return 1.0
    if isinstance(module, _ConvTransposeNd):
        fan_in = parameter.shape[0] // module.groups * prod(parameter.shape[2:])
    else:
        fan_in = prod(parameter.shape[1:])
    return (2 / max(fan_in, 1)) ** 0.5


def _is_parametrization(name: str) -> bool:
    # torch.nn.utils.parametrizations keep the weight as "original", "original0" and "original1".
    return name.startswith("original")
