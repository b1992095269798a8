"""Chunks of large tensors, and a reusable buffer to process them in."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# The first touch of fresh memory costs more than the work on it, hence the limit. Much smaller
# chunks cost more in calls (docs/speed.md).
_CHUNK_BYTES = 1 << 24


def chunks(values: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yields slices of samples and channels that cover (N, C, P), sample by sample.

    A chunk is the whole tensor if that is small, else some samples, or some channels of one.
    """
    n, c, p = values.shape
    channel = max(p * values.element_size(), 1)
    if n * c * channel <= _CHUNK_BYTES or not values.is_cpu:
        yield slice(0, n), slice(0, c)
    elif c * channel <= _CHUNK_BYTES:
        step = _CHUNK_BYTES // (c * channel)
        yield from ((slice(i, min(i + step, n)), slice(0, c)) for i in range(0, n, step))
    else:
        step = max(_CHUNK_BYTES // channel, 1)
        for i in range(n):
            for k in range(0, c, step):
                yield slice(i, i + 1), slice(k, min(k + step, c))


class WorkBuffer:
    """Memory for the values of one chunk at a time."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def like(self, chunk: Tensor) -> Tensor:
        """Returns memory of the shape and order of a chunk (N, C, P); its old contents are lost."""
        if not chunk.is_cpu:  # allocators of GPUs reuse memory themselves
            return torch.empty_like(chunk)
        memory, size = self._memory, chunk.numel()
        if memory.numel() < size or memory.dtype != chunk.dtype:
            self._memory = memory = chunk.new_empty(size)
        n, c, p = chunk.shape
        if chunk.stride(1) == 1 < chunk.stride(2):  # channels last
            return memory[:size].view(n, p, c).mT
        return memory[:size].view(n, c, p)
