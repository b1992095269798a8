"""Reduction of bias-gradients to a map: one sum for each resolution, enlarged once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.decomposition import Site
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.operations.bias_rules import Kind
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias
from fullgrad_lightning.saliency.postprocess import Postprocess, Preset
from fullgrad_lightning.saliency.tensor_chunks import WorkBuffer

Sites = Literal["all", "bias"]
# Places the values of a site on the image: -> (N, C, h, w), or None if they have no place.
Placement = Callable[[Site, Tensor], Tensor | None]


def is_bias_site(op: str, kind: Kind) -> bool:
    """Returns whether a site is the bias of a convolution or a batch norm, as in released codes."""
    return (op.startswith("conv") and kind == "parameter") or op == "batch_norm"


def place_on_image(site: Site, values: Tensor) -> Tensor | None:
    """Returns values of a site as (N, C, h, w); ``None`` if they do not lie on the image.

    (N, C, H, W), (N, H, W, C) and token sequences do, without class and register tokens; vectors,
    1×1 maps, attention scores and windows do not. The default of ``placement=``.
    """
    return None if site.layout is None else site.layout.fold(values)


@dataclass
class MapAccumulator(BiasGradientHandler):
    """Reduces each bias-gradient to a map and adds up those of one resolution.

    Args:
        samples: N.
        use_bias: Whether values are gradient ⊙ bias (FullGrad), or the gradient alone.
    """

    samples: int
    postprocess: Postprocess
    sites: Sites
    placement: Placement | None = None
    use_bias: bool = True
    sums: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    buffer: WorkBuffer = field(default_factory=WorkBuffer)

    def wants(self, op: str, kind: Kind) -> bool:
        return self.sites == "all" or is_bias_site(op, kind)

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        fold = None if self.placement is not None else self._find_fold(pending.site)
        is_full_precision = gradient.is_floating_point() and gradient.element_size() > 2
        if fold is not None and self.use_bias and is_full_precision:
            # ψ multiplies chunk by chunk, so that the product is never made at full size.
            self.add(fold(gradient), fold(pending.bias(gradient).expand_as(gradient)))
            return
        placed = self.place(pending, gradient)
        if placed is not None:
            self.add(placed)

    def place(self, pending: PendingBias, gradient: Tensor) -> Tensor | None:
        """Returns the values of a site on the image, (N, C, h, w); ``None`` if it has no place."""
        site = pending.site
        if self.placement is None:
            fold = self._find_fold(site)
            return None if fold is None else fold(self._values(pending, gradient))
        placed = self.placement(site, self._values(pending, gradient))
        if placed is not None and (placed.ndim != 4 or len(placed) != self.samples):
            raise ValueError(
                f"placement must return (N, C, h, w) with N={self.samples}, or None, but for site "
                f"{site.name!r} it returned shape {tuple(placed.shape)}."
            )
        return placed

    def add(self, values: Tensor, bias: Tensor | None = None) -> None:
        """Adds ψ of values, or of values ⊙ bias, (N, C, h, w) each."""
        site_map = apply_postprocess(self.postprocess, values, bias, self.buffer)
        size = (site_map.shape[2], site_map.shape[3])
        if size in self.sums:
            self.sums[size] += site_map
        else:
            self.sums[size] = site_map

    def saliency(self, height: int, width: int, interpolation: str) -> Tensor:
        """Returns the sum of all maps, (N, 1, H, W)."""
        maps = [
            enlarge(site_map, (height, width), interpolation, self.postprocess)
            for site_map in self.sums.values()
        ]
        total = sum(maps[1:], start=maps[0])
        psi = self.postprocess
        return psi.finish(total) if isinstance(psi, Preset) else total

    def _values(self, pending: PendingBias, gradient: Tensor) -> Tensor:
        return pending.bias_gradient(gradient) if self.use_bias else gradient

    def _find_fold(self, site: Site) -> Callable[[Tensor], Tensor] | None:
        """Returns the function that views values of a site as (N, C, h, w), or ``None``."""
        if site.layout is not None:
            return site.layout.fold
        is_1x1 = len(site.shape) == 4 and site.shape[0] == self.samples and site.shape[2:] == (1, 1)
        if is_1x1 and isinstance(self.postprocess, Preset) and self.postprocess.keeps_1x1:
            return lambda values: values
        return None


def apply_postprocess(
    psi: Postprocess, values: Tensor, bias: Tensor | None, buffer: WorkBuffer
) -> Tensor:
    """Returns ψ(values ⊙ bias), (N, C, h, w) to (N, 1, h, w), in float32 or float64."""
    if values.element_size() < 4:
        values = values.float()
    if isinstance(psi, Preset):
        return psi.reduce(values, bias, buffer)
    result = psi(values if bias is None else values * bias)
    n, _, h, w = values.shape
    if not isinstance(result, Tensor) or result.shape != (n, 1, h, w):
        returned = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise ValueError(
            f"postprocess must turn (N, C, h, w) into (N, 1, h, w), here {(n, 1, h, w)}, but it "
            f"returned {returned}. Sum over the channels: .sum(1, keepdim=True)."
        )
    return result


def enlarge(
    site_map: Tensor, size: tuple[int, int], interpolation: str, psi: Postprocess
) -> Tensor:
    """Interpolates a map, (N, 1, h, w), to the resolution of the image."""
    if site_map.shape[2:] == size:
        return site_map
    corners = bool(getattr(psi, "align_corners", False))
    return F.interpolate(site_map, size, mode=interpolation, align_corners=corners)
