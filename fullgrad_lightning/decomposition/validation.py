"""Validates models and inputs before they are decomposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fullgrad_lightning.utilities.describe import abbreviate, describe


def validate_input(x: object) -> None:
    """Checks that x is a batch of finite real numbers, (N, …) with N ≥ 1."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a tensor with a batch dimension, got {describe(x)}.")
    if not x.is_floating_point():
        raise TypeError(
            f"x must be floating point, got {x.dtype}: gradients need real numbers. Scale and "
            "normalise the images as in training, e.g. torchvision.transforms.v2.ToDtype("
            "torch.float32, scale=True)."
        )
    if x.ndim < 2:
        raise ValueError(
            f"x must have a batch dimension, e.g. (N, C, H, W), got shape {tuple(x.shape)}. "
            "Use x.unsqueeze(0) for a single sample."
        )
    if x.numel() == 0:
        shape = tuple(x.shape)
        raise ValueError(f"x holds no values: its shape is {shape}. Pass at least one sample.")
    finite = x.isfinite().flatten(1).all(1)
    if not finite.all():
        samples = (~finite).nonzero().flatten().tolist()
        raise ValueError(
            f"x holds NaN or infinity in sample {abbreviate(samples)} of {x.shape[0]}. Check the "
            "normalisation (a standard deviation of 0?) and the loading of these samples."
        )


def validate_model(model: Any) -> nn.Module | Callable[[Tensor], object]:
    """Checks that a model can be traced; unwraps data-parallel wrappers."""
    if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
        model = model.module  # the wrapper would prepare its reducer for a backward pass
    if not callable(model):
        raise TypeError(f"model must be an nn.Module or a function of x, got {describe(model)}.")
    if isinstance(model, torch.jit.ScriptFunction):
        raise _scripted("the model")
    network = getattr(model, "__self__", model)  # of a bound method, the module
    if isinstance(network, nn.Module):
        for name, module in network.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                raise _scripted(f"module {name!r}" if name else "the model")
        lazy = [n for n, p in network.named_parameters() if nn.parameter.is_lazy(p)]
        if lazy:
            raise ValueError(
                f"Parameter {lazy[0]!r} is not initialised yet. Run the model once on a batch."
            )
    return model  # type: ignore[no-any-return]


def _scripted(name: str) -> TypeError:
    return TypeError(
        f"Cannot decompose {name}: it is TorchScript, whose operations run outside Python. "
        "Pass the original nn.Module (torch.compile'd modules are fine)."
    )
