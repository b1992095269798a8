"""Registry of saliency methods by name, open to methods defined outside this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeVar

from fullgrad_lightning.saliency.base import SaliencyMethod

Method = TypeVar("Method", bound=type[SaliencyMethod])

_METHODS: dict[str, type[SaliencyMethod]] = {}  # `fullgrad_lightning.saliency` imports the built-in


def register_saliency_method(name: str) -> Callable[[Method], Method]:
    """Registers a class as a saliency method; everything that takes a name then takes this one.

    Args:
        name: The method's name. A class that is defined once more (a notebook's cell run again)
            replaces itself.

    Raises:
        TypeError: The class is not a ``SaliencyMethod``.
        ValueError: Another class has that name.

    Examples:
        A method that weighs every pixel by its brightness::

            @register_saliency_method("brightness")
            @dataclass(frozen=True, kw_only=True)
            class Brightness(SaliencyMethod):
                power: float = 1.0

                def _attribute(self, model, x, target, sample_ids):
                    return x.float().mean(1, keepdim=True).abs() ** self.power
    """

    def register(method: Method) -> Method:
        if not (inspect.isclass(method) and issubclass(method, SaliencyMethod)):
            raise TypeError(f"{name!r} must be a subclass of SaliencyMethod, got {method!r}.")
        other = _METHODS.setdefault(name, method)
        if (other.__module__, other.__qualname__) != (method.__module__, method.__qualname__):
            raise ValueError(
                f"There already is a saliency method {name!r}: {other.__module__}."
                f"{other.__qualname__}. Choose another name."
            )
        _METHODS[name] = method
        return method

    return register


def saliency_methods() -> tuple[str, ...]:
    """Returns the names of all saliency methods."""
    return tuple(_METHODS)


def saliency_method_class(name: str) -> type[SaliencyMethod]:
    """Returns the class of a saliency method.

    Raises:
        ValueError: There is no such method.
    """
    if name not in _METHODS:
        near = get_close_matches(str(name), _METHODS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No saliency method {name!r}.{hint} There are: {', '.join(_METHODS)}.")
    return _METHODS[name]


def saliency_method_options(name: str) -> tuple[str, ...]:
    """Returns the names of a saliency method's options.

    Raises:
        ValueError: There is no such method.

    Examples:
        >>> saliency_method_options("gradcam")
        ('layer',)
    """
    return tuple(inspect.signature(saliency_method_class(name)).parameters)


def saliency_method(name: str, **options: Any) -> SaliencyMethod:
    """Builds a saliency method by name; all are called as ``method(model, x, target=None)``.

    Args:
        name: One of ``saliency_methods()``.
        options: The arguments of the method's class.

    Raises:
        ValueError: There is no such method, or an option is out of range.
        TypeError: The method has no such option.

    Examples:
        >>> saliency_method("smoothgrad", n_samples=10).n_samples
        10
    """
    allowed = saliency_method_options(name)
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise TypeError(
            f"{name!r} has no option {unknown[0]!r}. Its options: {', '.join(allowed) or 'none'}."
        )
    return saliency_method_class(name)(**options)
