"""The samples that a callback watches: chosen once, kept, and the same ever after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Sum = Callable[[Tensor], Tensor]  # over all processes


@dataclass(frozen=True)
class Samples:
    """Some samples of a data set, on the CPU.

    Attributes:
        positions: (n,) int64, in the data set.
        inputs: (n, C, H, W), as the network gets them.
        labels: (n,) int64; -1 where there is none.
        masks: (n, H, W) bool; empty, (n, 0, 0), where there are none.
    """

    positions: Tensor
    inputs: Tensor
    labels: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.positions)

    def state(self) -> dict[str, Tensor]:
        return dict(vars(self))


@dataclass
class Gathering:
    """Picks the wanted samples out of the batches as they pass.

    Args:
        wanted: Positions in the data set, in the order in which they are shown.
    """

    wanted: Sequence[int]
    found: dict[int, tuple[Tensor, Tensor, Tensor]] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float32

    def look(
        self,
        positions: Sequence[int | None],
        inputs: Tensor,
        labels: Tensor | None,
        masks: Tensor | None,
    ) -> None:
        """Keeps copies of the wanted samples of one batch."""
        self.shape, self.dtype = tuple(inputs.shape[1:]), inputs.dtype
        with torch.inference_mode(False):  # what is kept must be usable outside that mode
            for i, position in enumerate(positions):
                if position is None or position not in self.wanted or position in self.found:
                    continue
                self._refuse_another_shape()
                label = torch.tensor(-1) if labels is None else _kept(labels[i]).long()
                mask = torch.zeros(0, 0) if masks is None else _kept(masks[i])
                self.found[position] = (
                    _kept(inputs[i]), label, mask.bool().reshape(mask.shape[-2:])
                )  # fmt: skip

    def _refuse_another_shape(self) -> None:
        for kept, _, _ in self.found.values():
            if tuple(kept.shape) != self.shape:
                raise ValueError(
                    f"The samples to be watched differ in shape: {tuple(kept.shape)} and "
                    f"{self.shape}. Resize them to one shape, or choose others with indices=[…]."
                )

    def gathered(self, sum_over_processes: Sum) -> Samples:
        """All samples that any process found. A collective."""
        shape = self._agreed_shape(sum_over_processes)
        n, (height, width) = len(self.wanted), shape[-2:]
        present = torch.zeros(n, dtype=torch.int64)
        inputs = torch.zeros(n, *shape, dtype=torch.float64)  # holds any other dtype exactly
        labels, has_mask = torch.zeros(n, dtype=torch.int64), torch.zeros(n, dtype=torch.int64)
        masks = torch.zeros(n, height, width, dtype=torch.uint8)
        for row, position in enumerate(self.wanted):
            if position in self.found:
                present[row] = 1
                inputs[row], labels[row], mask = self.found[position]
                if mask.shape == (height, width):
                    masks[row], has_mask[row] = mask, 1
        # Each sample is in one process, and zero in all others.
        parts = (present, inputs, labels, has_mask, masks)
        present, inputs, labels, has_mask, masks = (sum_over_processes(part) for part in parts)
        rows = present.nonzero().flatten()
        with_masks = len(rows) > 0 and bool(has_mask[rows].all())
        return Samples(
            torch.tensor(self.wanted, dtype=torch.int64)[rows],
            inputs[rows].to(self.dtype),
            labels[rows],
            masks[rows].bool() if with_masks else torch.zeros(len(rows), 0, 0, dtype=torch.bool),
        )

    def _agreed_shape(self, sum_over_processes: Sum) -> tuple[int, ...]:
        # A process without a batch learns from the others what the samples are like.
        mine = torch.tensor([1, *self.shape] if self.shape else [0, 0, 0, 0])
        count, *shape = sum_over_processes(mine).tolist()
        return tuple(length // max(count, 1) for length in shape)


def _kept(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone()
