"""All saliency methods by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.baselines.blurred import Blurred
from fullgrad_lightning.saliency.baselines.controls import RandomSaliency, Sobel
from fullgrad_lightning.saliency.baselines.gradcam import GradCAM
from fullgrad_lightning.saliency.baselines.gradients import InputGradient, InputXGradient
from fullgrad_lightning.saliency.baselines.guided_backprop import GuidedBackprop
from fullgrad_lightning.saliency.baselines.integrated_gradients import IntegratedGradients
from fullgrad_lightning.saliency.baselines.smoothgrad import SmoothGrad, SmoothGradSquared, VarGrad
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.simple_fullgrad import SimpleFullGrad
from fullgrad_lightning.saliency.smooth_fullgrad import SmoothFullGrad

_METHODS: dict[str, Callable[..., SaliencyMethod]] = {
    "fullgrad": FullGrad,
    "simple_fullgrad": SimpleFullGrad,
    "smooth_fullgrad": SmoothFullGrad,
    "input_gradient": InputGradient,
    "input_x_gradient": InputXGradient,
    "integrated_gradients": IntegratedGradients,
    "smoothgrad": SmoothGrad,
    "smoothgrad_squared": SmoothGradSquared,
    "vargrad": VarGrad,
    "gradcam": GradCAM,
    "guided_backprop": GuidedBackprop,
    "random": RandomSaliency,
    "sobel": Sobel,
    "blurred": Blurred,
}


def saliency_methods() -> tuple[str, ...]:
    """The names of all saliency methods."""
    return tuple(_METHODS)


def saliency_method(name: str, **options: Any) -> SaliencyMethod:
    """A saliency method by name; all are called as ``method(model, x, target=None)``.

    Args:
        name: One of ``saliency_methods()``.
        options: Those of the method's class.

    Raises:
        ValueError: No such method, or an option out of range.
        TypeError: An option that the method does not have.

    Examples:
        >>> saliency_method("smoothgrad", n_samples=10).n_samples
        10
    """
    if name not in _METHODS:
        near = get_close_matches(str(name), _METHODS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No saliency method {name!r}.{hint} There are: {', '.join(_METHODS)}.")
    method = _METHODS[name]
    known = [option.name for option in fields(method)]  # type: ignore[arg-type]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"{name!r} has no option {unknown[0]!r}. Its options: {', '.join(known) or 'none'}."
        )
    return method(**options)
