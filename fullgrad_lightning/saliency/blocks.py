"""Cuts large tensors into blocks that stay in the cache of a CPU while they are worked on."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

# Several passes over 256 KiB cost hardly more than one; smaller blocks pay for calls instead.
_BLOCK_BYTES = 1 << 18


def blocks(values: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of samples and channels that cover (N, C, P), sample by sample.

    One block is the whole on a GPU, many whole samples if they are small, or some channels of one.
    """
    n, c, p = values.shape
    channel = max(p * values.element_size(), 1)
    if not values.is_cpu or n * c * channel <= _BLOCK_BYTES:
        yield slice(0, n), slice(0, c)
    elif c * channel <= _BLOCK_BYTES:
        step = max(_BLOCK_BYTES // (c * channel), 1)
        yield from ((slice(i, min(i + step, n)), slice(0, c)) for i in range(0, n, step))
    else:
        step = max(_BLOCK_BYTES // channel, 1)
        for i in range(n):
            for k in range(0, c, step):
                yield slice(i, i + 1), slice(k, min(k + step, c))
