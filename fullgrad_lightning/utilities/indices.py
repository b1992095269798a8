"""Choices of a few indices that represent many."""

from __future__ import annotations

import numpy as np


def evenly_spaced_indices(n: int, count: int) -> list[int]:
    """Returns at most ``count`` indices below n, evenly spaced, the first and the last included.

    Examples:
        >>> evenly_spaced_indices(11, 3), evenly_spaced_indices(2, 3)
        ([0, 5, 10], [0, 1])
    """
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, count)).tolist()})


def first_of_equal_parts(n: int, count: int) -> list[int]:
    """Returns the first index of each of ``count`` equal parts of n; fewer if n < ``count``.

    Of data that is sorted by class, with ``count`` classes of one size, each class has its first.

    Examples:
        >>> first_of_equal_parts(12, 3), first_of_equal_parts(2, 3)
        ([0, 4, 8], [0, 1])
    """
    return sorted({i * n // count for i in range(count)})
