"""FullGrad and its relatives word for word: sample by sample, layer by layer, channel by channel.

Every channel is enlarged on its own. Gradients come from hooks on modules, biases from their
parameters; only implicit biases are taken from ``full_gradients``, and these are all (N, C, H, W)
or vectors in the convolutional networks used here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fullgrad_lightning as fgl
from tests.decomposition.exact import plainly


@dataclass(frozen=True)
class Terms:
    """∇ₓf and, for each convolution with a bias and each batch norm, ∂f/∂y and b."""

    input_gradient: Tensor
    feature_gradients: list[Tensor]
    biases: list[Tensor]

    @property
    def bias_gradients(self) -> list[Tensor]:
        return [g * b for g, b in zip(self.feature_gradients, self.biases, strict=True)]


def explicit_terms(model: nn.Module, x: Tensor, target: object = None) -> Terms:
    """By hooks on the modules of a network in eval mode."""
    terms: list[tuple[list[Tensor], Tensor]] = []

    def watch(module: nn.Module, _inputs: object, y: Tensor) -> None:
        gradients: list[Tensor] = []
        bias = explicit_bias(module)
        assert bias is not None
        terms.append((gradients, bias))
        y.register_hook(gradients.append)

    layers = [module for module in model.modules() if explicit_bias(module) is not None]
    handles = [layer.register_forward_hook(watch) for layer in layers]
    try:
        _, gradient = plainly(model, x, target)
    finally:
        for handle in handles:
            handle.remove()
    return Terms(gradient, [gradients[0] for gradients, _ in terms], [bias for _, bias in terms])


def explicit_bias(module: nn.Module) -> Tensor | None:
    """(1, C, 1, 1): of a convolution, or β − γμ/√(σ² + ε) of a batch norm."""
    if isinstance(module, nn.BatchNorm2d):
        deviation = (module.running_var + module.eps).sqrt()
        bias = module.bias - module.weight * module.running_mean / deviation
    elif isinstance(module, nn.Conv2d) and module.bias is not None:
        bias = module.bias
    else:
        return None
    return bias.detach()[None, :, None, None]


def all_bias_gradients(model: nn.Module, x: Tensor, target: object = None) -> list[Tensor]:
    """Implicit biases too, of a convolutional network."""
    bias_gradients = fgl.full_gradients(model, x, target).bias_gradients.values()
    return [b.values for b in bias_gradients if b.values.ndim == 4]


def fullgrad(
    preset: str,
    model: nn.Module,
    x: Tensor,
    target: object = None,
    *,
    sites: str = "bias",
    mode: str = "bilinear",
    multiply_by_input: bool = True,
) -> Tensor:
    """Equation 2: (N, 1, H, W)."""
    terms = explicit_terms(model, x, target)
    layers = terms.bias_gradients if sites == "bias" else all_bias_gradients(model, x, target)
    first = terms.input_gradient * x if multiply_by_input else terms.input_gradient
    return combined(preset, first, layers, mode)


def combined(
    preset: str, first: Tensor, layers: Sequence[Tensor], mode: str = "bilinear"
) -> Tensor:
    """ψ of the input term and of every layer, (N, C, h, w) each, enlarged and summed."""
    n, _, height, width = first.shape
    result = torch.zeros(n, 1, height, width, dtype=first.dtype)
    for i in range(n):
        total = _enlarged_sum(preset, first[i], (height, width), mode)
        for layer in layers:
            if layer.shape[2] * layer.shape[3] > 1 or preset == "idiap":
                total = total + _enlarged_sum(preset, layer[i], (height, width), mode)
        if preset == "pytorch_grad_cam":
            total = (total - total.min()) / (total.max() - total.min() + 1e-7)
        result[i, 0] = total
    return result


def _enlarged_sum(preset: str, layer: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    total = torch.zeros(size, dtype=layer.dtype)
    for channel in LITERAL[preset](layer):
        one = F.interpolate(channel[None, None], size, mode=mode, align_corners=preset == "idiap")
        total = total + one[0, 0]
    return total


def _min_max_or_nothing(channel: Tensor) -> Tensor:
    low, high = channel.min(), channel.max()
    if high - low <= 64 * torch.finfo(channel.dtype).eps * high:
        return torch.zeros_like(channel)
    return (channel - low) / (high - low)


def _paper(layer: Tensor) -> list[Tensor]:
    return [_min_max_or_nothing(channel.abs()) for channel in layer]


def _positive(layer: Tensor) -> list[Tensor]:
    return [_min_max_or_nothing(channel.clamp(min=0)) for channel in layer]


def _negative(layer: Tensor) -> list[Tensor]:
    return [_min_max_or_nothing((-channel).clamp(min=0)) for channel in layer]


def _idiap(layer: Tensor) -> list[Tensor]:
    size = layer.abs()
    size = size - size.min()
    return list(size / (size.max() + 1e-6))


def _pytorch_grad_cam(layer: Tensor) -> list[Tensor]:
    shifted = [channel - channel.min() for channel in layer.abs()]
    return [channel / (1e-7 + channel.max()) for channel in shifted]


# Preset -> the post-processed channels of one layer of one sample, (C, h, w).
LITERAL: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "paper": _paper,
    "idiap": _idiap,
    "pytorch_grad_cam": _pytorch_grad_cam,
    "abs": lambda layer: [channel.abs() for channel in layer],
    "signed": list,
    "positive": _positive,
    "negative": _negative,
}
