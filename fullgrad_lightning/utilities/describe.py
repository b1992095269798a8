"""Descriptions of values for error messages: types, shapes and dtypes in one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

_MAX_ENTRIES = 6


def describe(value: object, depth: int = 3) -> str:
    """Describes a value's type and structure, with the shapes of tensors, in one line.

    ``depth`` is the number of levels of containers that are described.

    Examples:
        >>> import torch
        >>> describe((torch.rand(4, 3, 8, 8), {"label": torch.arange(4), "path": "a.png"}))
        "tuple(tensor (4, 3, 8, 8) of float32, dict('label': tensor (4,) of int64, 'path': str))"
        >>> describe(None), describe(3), describe(0.5)
        ('None', 'int 3', 'float 0.5')
    """
    if value is None or isinstance(value, (bool, int, float)):
        return "None" if value is None else f"{type(value).__name__} {value!r}"
    return _structure(value, depth)


def abbreviate(values: Sequence[object], limit: int = 10) -> str:
    """Joins values by commas, at most ``limit`` of them.

    Examples:
        >>> abbreviate([3, 4]), abbreviate(range(9), limit=2)
        ('3, 4', '0, 1 and 7 more')
    """
    text = ", ".join(map(str, values[:limit]))
    return text if len(values) <= limit else f"{text} and {len(values) - limit} more"


def named_entries(value: object) -> dict[str, object] | None:
    """Returns the entries of a mapping, named tuple, dataclass or object by name; else ``None``."""
    if isinstance(value, Mapping):
        return {str(key): entry for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (Tensor, np.ndarray, str, bytes, int, float, Sequence, type)):
        return None
    if value is None or hasattr(value, "getbands"):  # a PIL image
        return None
    return dict(getattr(value, "__dict__", None) or {}) or None


def _structure(value: object, depth: int) -> str:
    kind = type(value).__name__
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"NumPy array {value.shape} of {value.dtype}"
    if hasattr(value, "getbands"):  # a PIL image; importing PIL for that takes too long
        return f"PIL image of mode {value.mode}"  # type: ignore[attr-defined]
    entries = named_entries(value)
    if depth and entries is not None:
        parts = [f"{name!r}: {_structure(entry, depth - 1)}" for name, entry in entries.items()]
    elif depth and isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        parts = [_structure(entry, depth - 1) for entry in value]
    else:
        return kind
    more = ", …" if len(parts) > _MAX_ENTRIES else ""
    return f"{kind}({', '.join(parts[:_MAX_ENTRIES])}{more})"
