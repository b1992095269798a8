"""The normalisation (x − mean) / std of images, one value for each channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # configurations check a normalisation before torch is imported
    from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each channel, or of all: images are (x − mean) / std.

    Examples:
        >>> import torch
        >>> images = Normalization((0.5,), (0.25,)).normalize(torch.zeros(1, 1, 1, 2))
        >>> images
        tensor([[[[-2., -2.]]]])
        >>> Normalization((0.5,), (0.25,)).denormalize(images)
        tensor([[[[0., 0.]]]])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.mean or len({len(self.mean), len(self.std)} - {1}) > 1 or not self.std:
            raise ValueError(
                "mean and std must hold one value for each channel, got "
                f"{list(self.mean)} and {list(self.std)}."
            )
        if not all(math.isfinite(value) for value in self.mean):
            raise ValueError(f"mean must be finite in each channel, got {list(self.mean)}.")
        if not all(value > 0 and math.isfinite(value) for value in self.std):
            raise ValueError(f"std must be positive in each channel, got {list(self.std)}.")

    @classmethod
    def of(cls, mean: Any, std: Any) -> Normalization | None:
        """Builds a normalisation from two arguments, ``None`` if both are ``None``.

        Each is a number, or a sequence, array or tensor of numbers.
        """
        if mean is None and std is None:
            return None
        if mean is None or std is None:
            raise ValueError(
                "mean and std must be given together: they undo the normalisation. Got "
                f"mean={mean!r} and std={std!r}."
            )
        return cls(_floats("mean", mean), _floats("std", std))

    @classmethod
    def of_datamodule(cls, data: object) -> Normalization | None:
        """Reads the attributes ``mean`` and ``std`` of any object; ``None`` if they are invalid."""
        try:
            return cls.of(getattr(data, "mean", None), getattr(data, "std", None))
        except (TypeError, ValueError):
            return None

    def for_channels(self, channels: int) -> Normalization:
        """Returns the normalisation with one value for each of C channels."""
        mean, std = (
            values * channels if len(values) == 1 else values for values in (self.mean, self.std)
        )
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != channels:
                raise ValueError(
                    f"{name} must hold one value for each of the {channels} channels, got "
                    f"{list(values)}."
                )
        return Normalization(mean, std)

    def normalize(self, images: Tensor) -> Tensor:
        """Normalises images (…, C, H, W) in 0…1."""
        mean, std = self.tensors(images)
        return (images - mean) / std

    def denormalize(self, images: Tensor) -> Tensor:
        """Undoes the normalisation of images (…, C, H, W)."""
        mean, std = self.tensors(images)
        return images * std + mean

    def tensors(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and std as (C, 1, 1), of the dtype and device of images (…, C, H, W)."""
        if not images.is_floating_point():
            raise TypeError(f"Normalised images must be floating point, got {images.dtype}.")
        by_channel = self.for_channels(images.shape[-3])
        return (
            images.new_tensor(by_channel.mean)[:, None, None],
            images.new_tensor(by_channel.std)[:, None, None],
        )


def _floats(name: str, values: Any) -> tuple[float, ...]:
    if hasattr(values, "tolist"):  # a tensor or an array
        values = values.tolist()
    if not isinstance(values, Sequence):
        values = (values,)
    if isinstance(values, (str, bytes)) or any(isinstance(value, bool) for value in values):
        raise TypeError(f"{name} must be a number for each channel, got {values!r}.")
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number for each channel, got {values!r}.") from None
