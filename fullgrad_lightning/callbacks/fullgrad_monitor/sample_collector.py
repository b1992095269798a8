"""The watched samples: chosen at the first validation that is explained, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

SumOverProcesses = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class WatchedSamples:
    """Some samples of a data set, on the CPU.

    Attributes:
        positions: (n,) int64, in the data set.
        inputs: (n, C, H, W), normalised for the network.
        labels: (n,) int64; -1 where there is none.
        masks: (n, H, W) bool; empty, (n, 0, 0), where there are none.
    """

    positions: Tensor
    inputs: Tensor
    labels: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.positions)

    def split(self, size: int) -> list[WatchedSamples]:
        """Splits the samples into chunks of at most this size."""
        parts = zip(*(values.split(size) for values in vars(self).values()), strict=True)
        return [WatchedSamples(*part) for part in parts]

    def state_dict(self) -> dict[str, Tensor]:
        return dict(vars(self))


@dataclass
class SampleCollector:
    """Collects the samples at some positions, in this order, from the batches of a validation."""

    positions: Sequence[int]
    _samples: dict[int, tuple[Tensor, Tensor, Tensor]] = field(init=False, default_factory=dict)
    _shape: tuple[int, ...] = field(init=False, default=())
    _dtype: torch.dtype = field(init=False, default=torch.float32)

    def update(
        self,
        images: Tensor,
        labels: Tensor | None,
        masks: Tensor | None,
        positions: Sequence[int | None],
    ) -> None:
        """Copies the samples to collect from one batch."""
        self._shape, self._dtype = tuple(images.shape[1:]), images.dtype
        with torch.inference_mode(False):  # tensors of that mode could not be explained later
            for i, position in enumerate(positions):
                if position not in self.positions or position in self._samples:
                    continue
                assert position is not None
                self._check_shape()
                label = torch.tensor(-1) if labels is None else _copy(labels[i]).long()
                mask = torch.zeros(0, 0) if masks is None else _copy(masks[i])
                mask = mask.bool().reshape(mask.shape[-2:])
                self._samples[position] = _copy(images[i]), label, mask

    def collect(self, sum_over_processes: SumOverProcesses) -> WatchedSamples:
        """Returns the samples of all processes. A collective."""
        shape = self._agree_on_shape(sum_over_processes)
        n, (height, width) = len(self.positions), shape[-2:]
        present = torch.zeros(n, dtype=torch.int64)
        inputs = torch.zeros(n, *shape, dtype=torch.float64)  # holds any other dtype exactly
        labels, has_mask = torch.zeros(n, dtype=torch.int64), torch.zeros(n, dtype=torch.int64)
        masks = torch.zeros(n, height, width, dtype=torch.uint8)
        for row, position in enumerate(self.positions):
            if position in self._samples:
                present[row] = 1
                inputs[row], labels[row], mask = self._samples[position]
                if mask.shape == (height, width):
                    masks[row], has_mask[row] = mask, 1
        # Each sample is in one process, and zero in all others.
        parts = (present, inputs, labels, has_mask, masks)
        present, inputs, labels, has_mask, masks = (sum_over_processes(part) for part in parts)
        rows = present.nonzero().flatten()
        with_masks = len(rows) > 0 and bool(has_mask[rows].all())
        return WatchedSamples(
            torch.tensor(self.positions, dtype=torch.int64)[rows],
            inputs[rows].to(self._dtype),
            labels[rows],
            masks[rows].bool() if with_masks else torch.zeros(len(rows), 0, 0, dtype=torch.bool),
        )

    def _check_shape(self) -> None:
        for image, _, _ in self._samples.values():
            if tuple(image.shape) != self._shape:
                raise ValueError(
                    f"The watched samples differ in shape: {tuple(image.shape)} and {self._shape}. "
                    "Resize them to one shape, or choose others with indices=[…]."
                )

    def _agree_on_shape(self, sum_over_processes: SumOverProcesses) -> tuple[int, ...]:
        # A process without a batch takes the shape of the others.
        counted = torch.tensor([1, *self._shape] if self._shape else [0, 0, 0, 0])
        count, *shape = sum_over_processes(counted).tolist()
        return tuple(length // max(count, 1) for length in shape)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone()
