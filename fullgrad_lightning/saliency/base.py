"""What every saliency method is: how it is called, what it checks, and which target it explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition import Model, Target, explained_scalar, isolate_model
from fullgrad_lightning.decomposition.target import validate_target
from fullgrad_lightning.decomposition.validation import validate_input, validate_model


class SaliencyMethod(Protocol):
    """Explains each sample by one map of the size of the image. Options are set in constructors."""

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Saliency maps of a batch.

        Args:
            model: Any differentiable network; it runs in eval mode and is left exactly as it was.
            x: (N, C, H, W) floating point, any C.
            target: ``None`` (the top class of each sample), a class index, class indices (N,), or
                a callable ``output -> (N,)``.
            sample_ids: (N,) integers from which stochastic methods draw; default: a hash of each
                sample. Same id, same randomness: alone, in any batch, in any process.

        Returns:
            (N, 1, H, W), float32 (float64 if x is); larger is more salient.
        """


def validate_images(model: Model, x: Tensor, target: Target) -> Model:
    """Checks what all methods are called with; returns the model without parallel wrappers.

    Raises:
        TypeError, ValueError: As ``full_gradients``; x must be (N, C, H, W) besides.
    """
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
    """The dtype of maps: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def channel_sum(attributions: Tensor) -> Tensor:
    """Σ_c |a_c|: attributions of the pixels of each channel, (N, C, H, W), as (N, 1, H, W)."""
    return attributions.detach().to(map_dtype(attributions)).abs().sum(1, keepdim=True)


def resolve_target(model: Model, x: Tensor, target: Target) -> Target:
    """The target with the top class of each clean sample in place of ``None``.

    Methods that look at other inputs than x (noisy, or on a path) explain the same class on all of
    them.
    """
    if target is not None:
        return target
    with isolate_model(model, x), torch.no_grad():
        logits = model(x.clone())
        explained_scalar(logits, None, x.shape[0])  # refuses what has no top class
        assert isinstance(logits, Tensor)
        return logits.argmax(1)


def index_target(target: Target, index: Tensor) -> Target:
    """The target of the samples ``index`` (M,), which may repeat."""
    if not isinstance(target, Tensor):
        return target
    with torch.inference_mode(False):  # autograd refuses indices that were made in that mode
        return target[index.to(target.device)]


def explained_output(model: Model, target: Target) -> Callable[[Tensor], Tensor]:
    """The function x -> f(x), (N,), of a target that is fixed for every row of x."""
    return lambda x: explained_scalar(model(x), target, x.shape[0])


def input_gradient_of(model: Model, x: Tensor, target: Target) -> Tensor:
    """∇ₓf, shaped like x. The model must be ``isolate_model``."""
    leaf = x.detach().clone().requires_grad_()
    return gradient_at(leaf, differentiable_output(model, leaf, target))


def differentiable_output(model: Model, leaf: Tensor, target: Target) -> Tensor:
    """f at a leaf that requires its gradient, (N,). The model must be ``isolate_model``.

    Raises:
        ValueError: f has no gradient.
    """
    # Through a clone: the model may modify its input in place, which no leaf allows.
    f = explained_output(model, target)(leaf.clone())
    if not f.requires_grad:
        raise ValueError(
            "The explained output does not depend on x through differentiable operations. Does the "
            "model run under torch.no_grad(), detach its features, or return class indices?"
        )
    return f


def gradient_at(leaf: Tensor, f: Tensor) -> Tensor:
    """∇f, shaped like the leaf; 0 if f does not depend on it."""
    (gradient,) = torch.autograd.grad(f.sum(), leaf, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient


def nodes_behind(root: Any) -> list[Any]:
    """All nodes of the autograd graph that ends in ``root``, itself too; none if it is ``None``."""
    found = {} if root is None else {root: None}
    stack = list(found)
    while stack:
        for node, _ in stack.pop().next_functions:
            if node is not None and node not in found:
                found[node] = None
                stack.append(node)
    return list(found)


def as_module(model: Model) -> nn.Module:
    """The network behind a model, for methods that need its layers.

    Raises:
        TypeError: A plain function.
    """
    owner = getattr(model, "__self__", model)
    if not isinstance(owner, nn.Module):
        raise TypeError(
            f"This method looks at the layers of a network and needs an nn.Module, got "
            f"{type(model).__name__}."
        )
    return owner


def positive_integer(name: str, value: object) -> None:
    """Checks an option that counts something.

    Raises:
        ValueError: Not an integer ≥ 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer ≥ 1, got {value!r}.")


def noise_options(n_samples: int, noise_level: float, seed: int) -> None:
    """Checks the options of methods that average over noisy copies.

    Raises:
        ValueError: No samples, a level that is negative or not finite, or no integer as seed.
    """
    positive_integer("n_samples", n_samples)
    if isinstance(noise_level, bool) or not 0 <= noise_level < float("inf"):
        raise ValueError(
            f"noise_level must be ≥ 0, a share of each image's range, got {noise_level!r}."
        )
    seed_option(seed)


def seed_option(seed: object) -> None:
    """Checks the seed of a stochastic method.

    Raises:
        ValueError: Not an integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed must be an integer, got {seed!r}.")
