"""Checks of arguments, with one error text for each kind. Imports no torch."""

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
    """Checks that an argument is an integer.

    Args:
        name: The argument's name.
        value: The argument.
        minimum: The smallest value allowed; ``None``: any integer is.

    Raises:
        ValueError: Not an integer, or below the minimum.

    Examples:
        >>> check_int("num_samples", 0, 1)
        Traceback (most recent call last):
        ValueError: num_samples must be an integer ≥ 1, got 0.
    """
    if not is_int(value, minimum):
        bound = "" if minimum is None else f" ≥ {minimum}"
        raise ValueError(f"{name} must be an integer{bound}, got {value!r}.")


def check_distinct_ints(name: str, values: Any, minimum: int = 0) -> None:
    """Checks that an argument is a sequence of distinct integers, at least one.

    Raises:
        ValueError: Not a list or tuple, empty, an entry that is not an integer or below the
            minimum, or one that stands twice.
    """
    is_sequence = isinstance(values, Sequence) and not isinstance(values, (str, bytes))
    integers = is_sequence and all(is_int(value, minimum) for value in values)
    if not integers or not values or len(set(values)) < len(values):
        raise ValueError(
            f"{name} must be distinct integers ≥ {minimum}, at least one, got {values!r}."
        )


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Checks that an argument is one of a few values.

    Raises:
        ValueError: It is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_fraction(name: str, value: object) -> None:
    """Checks that an argument is a share, in 0…1.

    Raises:
        ValueError: Not a number, or out of range.

    Examples:
        >>> check_fraction("fraction", 10)
        Traceback (most recent call last):
        ValueError: fraction must be a share of the pixels, 0…1, got 10.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:  # type: ignore[operator]
        raise ValueError(f"{name} must be a share of the pixels, 0…1, got {value!r}.")
