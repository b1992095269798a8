"""Guided backpropagation through every ReLU: modules, functions and in-place calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.saliency.base import SaliencyMethod, channel_sum
from fullgrad_lightning.saliency.baselines.gradients import (
    ancestor_nodes,
    differentiable_output,
    gradient_at,
)
from fullgrad_lightning.saliency.registry import register_saliency_method

_MAY_BE_IN_PLACE = {F.relu, F.relu6, F.hardtanh, F.hardtanh_, torch.relu_, Tensor.relu_}


@register_saliency_method("guided_backprop")
@dataclass(frozen=True, kw_only=True)
class GuidedBackprop(SaliencyMethod):
    """Σ_c of |∇ₓf| where every ReLU passes positive gradients only (Springenberg et al. 2015).

    ReLUs are found in the autograd graph: modules, functions and in-place calls alike, and ReLU6.
    Without any, the map is that of the plain gradient.

    Warns:
        UserWarning: There is no ReLU to guide, when the method is called.
    """

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        leaf = x.clone().requires_grad_()
        with _VisibleInPlaceReLUs():
            f = differentiable_output(model, leaf, target)
        rectifiers = [node for node in ancestor_nodes(f.grad_fn) if _is_relu(node)]
        for node in rectifiers:
            node.register_hook(_keep_positive)
        gradient = gradient_at(leaf, f)
        if not rectifiers:
            warnings.warn(
                "Guided backpropagation found no ReLU in this model: the map is that of the plain "
                "input gradient.",
                stacklevel=3,
            )
        return channel_sum(gradient)


class _VisibleInPlaceReLUs(TorchFunctionMode):
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


def _keep_positive(inputs: Sequence[Tensor | None], _outputs: object) -> tuple[Tensor | None, ...]:
    return tuple(None if gradient is None else gradient.clamp(min=0) for gradient in inputs)
