"""Guided backpropagation through every ReLU, whoever calls it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fullgrad_lightning.decomposition import Model, Target, isolate_model
from fullgrad_lightning.saliency.base import (
    channel_sum,
    differentiable_output,
    gradient_at,
    nodes_behind,
    validate_images,
)

_MAY_BE_IN_PLACE = {F.relu, F.relu6, F.hardtanh, F.hardtanh_, torch.relu_, Tensor.relu_}


@dataclass(frozen=True, kw_only=True)
class GuidedBackprop:
    """Σ_c of |∇ₓf| where every ReLU passes positive gradients only (Springenberg et al. 2015).

    ReLUs are found in the autograd graph: modules, functions and in-place calls alike, and ReLU6.
    Where there is none, the map is that of the plain gradient, and a warning says so.
    """

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``.

        Warns:
            UserWarning: There is no ReLU to guide.
        """
        model = validate_images(model, x, target)
        with isolate_model(model, x):
            leaf = x.detach().clone().requires_grad_()
            with _ViewsInSight():
                f = differentiable_output(model, leaf, target)
            rectifiers = [node for node in nodes_behind(f.grad_fn) if _is_relu(node)]
            for node in rectifiers:
                node.register_hook(_positive)
            gradient = gradient_at(leaf, f)
        if not rectifiers:
            warnings.warn(
                "Guided backpropagation found no ReLU in this model: the map is that of the plain "
                "input gradient.",
                stacklevel=2,
            )
        return channel_sum(gradient)


class _ViewsInSight(TorchFunctionMode):
    """Applies in-place ReLUs on views to a copy: autograd hides them in a ``CopySlices`` node."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _MAY_BE_IN_PLACE or not args or not args[0]._is_view():
            return func(*args, **kwargs)
        copy = args[0].clone()
        result = func(copy, *args[1:], **kwargs)
        return args[0].copy_(result) if result is copy else result


def _is_relu(node: Any) -> bool:
    name: str = node.name()
    return name == "ReluBackward0" or (
        name == "HardtanhBackward0" and float(node._saved_min_val) == 0
    )


def _positive(inputs: Sequence[Tensor | None], _outputs: object) -> tuple[Tensor | None, ...]:
    return tuple(None if gradient is None else gradient.clamp(min=0) for gradient in inputs)
