"""Works through large tensors in blocks of bounded size, in memory that is used again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Beyond the first touch of fresh memory, which costs more than the work, size hardly matters; much
# smaller blocks pay for calls instead (docs/speed.md).
_BLOCK_BYTES = 1 << 24


def chunks(values: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of samples and channels that cover (N, C, P), sample by sample.

    One block is the whole if that is small, else some whole samples, or some channels of one.
    """
    n, c, p = values.shape
    channel = max(p * values.element_size(), 1)
    if n * c * channel <= _BLOCK_BYTES or not values.is_cpu:
        yield slice(0, n), slice(0, c)
    elif c * channel <= _BLOCK_BYTES:
        step = _BLOCK_BYTES // (c * channel)
        yield from ((slice(i, min(i + step, n)), slice(0, c)) for i in range(0, n, step))
    else:
        step = max(_BLOCK_BYTES // channel, 1)
        for i in range(n):
            for k in range(0, c, step):
                yield slice(i, i + 1), slice(k, min(k + step, c))


class WorkBuffer:
    """Memory for the values of one block at a time."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def like(self, block: Tensor) -> Tensor:
        """Memory of the shape and order of (N, C, P); what it held before is lost."""
        if not block.is_cpu:  # allocators of GPUs use memory again by themselves
            return torch.empty_like(block)
        memory, size = self._memory, block.numel()
        if memory.numel() < size or memory.dtype != block.dtype:
            self._memory = memory = block.new_empty(size)
        n, c, p = block.shape
        if block.stride(1) == 1 < block.stride(2):  # channels last
            return memory[:size].view(n, p, c).mT
        return memory[:size].view(n, c, p)
