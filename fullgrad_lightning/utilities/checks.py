"""Checks of arguments: one ``ValueError`` text for each kind. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def is_int(value: object, minimum: int | None = None) -> bool:
    """Returns whether a value is an integer, booleans excluded, and at least ``minimum``.

    Examples:
        >>> is_int(3, 1), is_int(0, 1), is_int(True), is_int(3.0)
        (True, False, False, False)
    """
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return is_integer and (minimum is None or value >= minimum)  # type: ignore[operator]


def check_int(name: str, value: object, minimum: int | None = None) -> None:
    """Checks that an argument is an integer, and at least ``minimum``.

    Examples:
        >>> check_int("num_samples", 0, 1)
        Traceback (most recent call last):
        ValueError: num_samples must be an integer ≥ 1, got 0.
    """
    if not is_int(value, minimum):
        bound = "" if minimum is None else f" ≥ {minimum}"
        raise ValueError(f"{name} must be an integer{bound}, got {value!r}.")


def check_distinct_ints(name: str, values: Any, minimum: int = 0) -> None:
    """Checks that an argument is a sequence of distinct integers ≥ ``minimum``, at least one."""
    is_sequence = isinstance(values, Sequence) and not isinstance(values, (str, bytes))
    integers = is_sequence and all(is_int(value, minimum) for value in values)
    if not integers or not values or len(set(values)) < len(values):
        raise ValueError(
            f"{name} must be distinct integers ≥ {minimum}, at least one, got {values!r}."
        )


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Checks that an argument is one of a few values."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_fraction(name: str, value: object) -> None:
    """Checks that an argument is a share, in 0…1.

    Examples:
        >>> check_fraction("fraction", 10)
        Traceback (most recent call last):
        ValueError: fraction must be a share of the pixels, 0…1, got 10.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:  # type: ignore[operator]
        raise ValueError(f"{name} must be a share of the pixels, 0…1, got {value!r}.")
