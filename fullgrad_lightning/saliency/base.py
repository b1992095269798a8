"""Base class of all saliency methods, and the checks that it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition import Model, Target, explained_scalar, isolate_model
from fullgrad_lightning.decomposition.target import validate_target
from fullgrad_lightning.decomposition.validation import validate_input, validate_model


class SaliencyMethod(ABC):
    """Base class of saliency methods, which explain each sample by one map of the image's size.

    A method is a frozen dataclass of its options, checked in ``__post_init__``, that overrides
    ``_attribute``. Decorated with ``register_saliency_method``, it is found by its name.

    Attributes:
        fixes_target: True if the model runs on other inputs than x: on all of them, the top class
            of the clean sample is then explained in place of ``None``.
        isolates_model: False if ``_attribute`` isolates the model itself, or never runs it.
    """

    fixes_target: ClassVar[bool] = False
    isolates_model: ClassVar[bool] = True

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Computes saliency maps of a batch.

        Args:
            model: Any differentiable network; it runs in eval mode and is left exactly as it was.
            x: (N, C, H, W) floating point, any C.
            target: ``None`` (the top class of each sample), a class index, class indices (N,), or
                a callable ``output -> (N,)``.
            sample_ids: (N,) integers from which stochastic methods draw; default: a hash of each
                sample. Same id, same randomness: alone, in any batch, in any process.

        Returns:
            (N, 1, H, W), float32 (float64 if x is); larger is more salient.

        Raises:
            TypeError, ValueError: As ``full_gradients``; also if x is not (N, C, H, W).
        """
        model = validate_images(model, x, target)
        if self.fixes_target:
            target = fix_target(model, x, target)
        with isolate_model(model, x) if self.isolates_model else nullcontext():
            return self._attribute(model, x.detach(), target, sample_ids)

    @abstractmethod
    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        """Computes the maps, (N, 1, H, W), of checked arguments; x is detached."""


def validate_images(model: Model, x: Tensor, target: Target) -> Model:
    """Checks the arguments that all methods have; returns the model without parallel wrappers."""
    model = validate_model(model)
    validate_input(x)
    if x.ndim != 4:
        raise ValueError(
            f"Saliency maps need images of shape (N, C, H, W), got {tuple(x.shape)}. Other inputs "
            "can be decomposed by full_gradients and attribution_budget."
        )
    validate_target(target, x.shape[0])
    return model


def map_dtype(x: Tensor) -> torch.dtype:
    """Returns the dtype of maps: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def channel_sum(attributions: Tensor) -> Tensor:
    """Sums the sizes of attributions over the channels, Σ_c |a_c|: (N, C, H, W) to (N, 1, H, W)."""
    return attributions.detach().to(map_dtype(attributions)).abs().sum(1, keepdim=True)


def fix_target(model: Model, x: Tensor, target: Target) -> Target:
    """Returns the target, or the top class of each sample, (N,), in place of ``None``."""
    if target is not None:
        return target
    with isolate_model(model, x), torch.no_grad():
        logits = model(x.clone())
        explained_scalar(logits, None, x.shape[0])  # refuses an output that has no top class
        assert isinstance(logits, Tensor)
        return logits.argmax(1)


def index_target(target: Target, index: Tensor) -> Target:
    """Returns the target of the samples ``index`` (M,), which may repeat."""
    if not isinstance(target, Tensor):
        return target
    with torch.inference_mode(False):  # autograd refuses indices that were made in that mode
        return target[index.to(target.device)]


def as_module(model: Model) -> nn.Module:
    """Returns the network behind a model, for methods that need its layers."""
    owner = getattr(model, "__self__", model)
    if not isinstance(owner, nn.Module):
        raise TypeError(
            "This method works on the layers of a network and needs an nn.Module, got "
            f"{type(model).__name__}."
        )
    return owner
