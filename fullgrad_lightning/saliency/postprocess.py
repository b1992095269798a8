"""ψ of equation (2): post-processing of each channel of a bias-gradient before the sum.

Shapes: N samples, C channels, (h, w) the resolution of a site, P = h·w.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fullgrad_lightning.saliency.tensor_chunks import WorkBuffer, chunks
from fullgrad_lightning.utilities.rounding import is_constant

# A user's ψ: (N, C, h, w), the values of one site, to (N, 1, h, w), summed over channels. It may
# have an attribute ``align_corners``, the argument of ``interpolate`` that enlarges its maps.
Postprocess = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A ψ made of the steps that the paper and the released codes discuss.

    Attributes:
        part: The absolute value, the value as it is, or its positive or negative part alone.
        rescale: Whether to map to [0, 1] by minimum and maximum: of each channel of each sample, of
            each sample over all channels, or not at all.
        epsilon: Added to the divisor max − min. ``None``: nothing is added, and values that are
            constant up to rounding contribute 0.
        align_corners: As in ``torch.nn.functional.interpolate``, which enlarges the maps.
        keeps_1x1: Whether 1×1 maps, which have no place on the image, are enlarged too.
        rescales_result: Whether the final map is rescaled to [0, 1] too, with the same ``epsilon``.
    """

    part: Literal["abs", "signed", "positive", "negative"] = "abs"
    rescale: Literal["channel", "sample"] | None = "channel"
    epsilon: float | None = None
    align_corners: bool = False
    keeps_1x1: bool = False
    rescales_result: bool = False

    def __call__(self, values: Tensor) -> Tensor:
        """Post-processes (N, C, h, w) and sums over the channels, to (N, 1, h, w)."""
        return self.reduce(values, None)

    def reduce(
        self, gradient: Tensor, bias: Tensor | None, buffer: WorkBuffer | None = None
    ) -> Tensor:
        """Returns ψ(gradient ⊙ bias), (N, C, h, w) to (N, 1, h, w), in float32 or float64.

        The product is never made at full size. A bias that is constant on its channel is expanded;
        ``None`` is a bias of 1.
        """
        buffer = buffer or WorkBuffer()
        n, c, h, w = gradient.shape
        gradient, used = gradient.flatten(2), None
        if bias is not None and bias.stride()[2:] == (0, 0) and h * w > 1:
            bias = bias[..., :1, 0]
            if self.part == "abs" and self.rescale == "channel" and self.epsilon is None:
                used, bias = bias != 0, None  # the size of the bias cancels
        elif bias is not None:
            bias = bias.flatten(2)
        total = gradient.new_zeros(n, 1, h * w)
        extremes: list[tuple[Tensor, Tensor]] = []
        for block in chunks(gradient):
            rows, _ = block
            values = buffer.like(gradient[block])
            self._write_part(gradient[block], None if bias is None else bias[block], values)
            if self.rescale == "channel":
                low, high = values.amin(2, keepdim=True), values.amax(2, keepdim=True)
                weight = _reciprocal_range(low, high, self.epsilon)
                weight = weight if used is None else weight * used[block]
                total[rows].baddbmm_(weight.mT, values.sub_(low))
            else:
                total[rows] += values.sum(1, keepdim=True)
            if self.rescale == "sample":
                extremes.append((values.amin((1, 2)), values.amax((1, 2))))
        if self.rescale == "sample":
            low, high = _join_extremes(extremes, n)
            total = (total - c * low) * _reciprocal_range(low, high, self.epsilon)
        return total.reshape(n, 1, h, w)

    def finish(self, saliency: Tensor) -> Tensor:
        """Post-processes the final map, (N, 1, H, W)."""
        if not self.rescales_result:
            return saliency
        low, high = saliency.amin((1, 2, 3), True), saliency.amax((1, 2, 3), True)
        return (saliency - low) * _reciprocal_range(low, high, self.epsilon)

    def _write_part(self, gradient: Tensor, bias: Tensor | None, out: Tensor) -> None:
        """Writes the chosen part of gradient · bias to ``out``."""
        if bias is not None:
            torch.mul(gradient, bias, out=out)
            gradient = out
        if self.part == "abs":
            torch.abs(gradient, out=out)
        elif self.part == "positive":
            torch.clamp(gradient, min=0, out=out)
        elif self.part == "negative":
            torch.neg(gradient, out=out).clamp_(min=0)
        elif bias is None:
            out.copy_(gradient)


PRESETS: dict[str, Preset] = {
    "paper": Preset(),
    "idiap": Preset(rescale="sample", epsilon=1e-6, align_corners=True, keeps_1x1=True),
    "pytorch_grad_cam": Preset(epsilon=1e-7, rescales_result=True),
    "abs": Preset(rescale=None),
    "signed": Preset(part="signed", rescale=None),
    "positive": Preset(part="positive"),
    "negative": Preset(part="negative"),
}
# Presets that copy a released code take the sites of that code by default.
RELEASED = frozenset({"idiap", "pytorch_grad_cam"})


def get_postprocess(choice: str | Postprocess) -> Postprocess:
    """Returns the preset of a name, or a callable as it is."""
    if isinstance(choice, str):
        if choice not in PRESETS:
            raise ValueError(f"postprocess must be one of {', '.join(PRESETS)}, got {choice!r}.")
        return PRESETS[choice]
    if not callable(choice):
        raise TypeError(
            "postprocess must be the name of a preset or a callable (N, C, h, w) -> (N, 1, h, w), "
            f"got {type(choice).__name__}."
        )
    return choice


def _reciprocal_range(low: Tensor, high: Tensor, epsilon: float | None) -> Tensor:
    extent = high - low
    if epsilon is not None:
        return (extent + epsilon).reciprocal_()
    return extent.reciprocal_().masked_fill_(is_constant(low, high), 0)


def _join_extremes(extremes: list[tuple[Tensor, Tensor]], n: int) -> tuple[Tensor, Tensor]:
    """Reduces minima and maxima of blocks, ordered as ``chunks``, to those of samples."""
    low, high = (torch.cat(column) for column in zip(*extremes, strict=True))
    return low.view(n, -1).amin(1).view(n, 1, 1), high.view(n, -1).amax(1).view(n, 1, 1)
