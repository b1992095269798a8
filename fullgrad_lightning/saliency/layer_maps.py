"""Layer maps: one map for each site (Figure 1 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Site, Target
from fullgrad_lightning.decomposition.bias_gradients import (
    stream_bias_gradients,
    whole_or_one_by_one,
)
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias
from fullgrad_lightning.saliency.base import validate_images
from fullgrad_lightning.saliency.map_accumulator import (
    Placement,
    apply_postprocess,
    enlarge,
    place_on_image,
)
from fullgrad_lightning.saliency.postprocess import Postprocess, get_postprocess
from fullgrad_lightning.saliency.tensor_chunks import WorkBuffer
from fullgrad_lightning.utilities.checks import check_choice


def layer_maps(
    model: Model,
    x: Tensor,
    target: Target = None,
    *,
    postprocess: str | Postprocess = "signed",
    resolution: Literal["native", "image"] = "native",
    per_neuron: bool = False,
    placement: Placement | None = None,
) -> dict[str, Tensor]:
    """Computes ψ of the bias-gradients of each site, summed over its channels (Figure 1).

    Sites that do not lie on the image (vectors, attention scores, 1×1 maps) have no map.

    Args:
        model: Any differentiable network, run in eval mode and left as it was.
        x: (N, C, H, W).
        target: As in ``full_gradients``.
        postprocess: ψ, as in ``FullGrad``. The default, ``"signed"``, leaves the values as they
            are: the maps of a site add up to what it contributes on the image.
        resolution: ``"native"``, that of each site, or ``"image"``, bilinearly enlarged to H×W.
        per_neuron: Whether each channel has a map of its own, ψ applied to it alone. All of them
            are kept.
        placement: As in ``FullGrad``.

    Returns:
        Site name -> (N, 1, h, w), or (N, C, h, w) per neuron, in the order of execution.

    Raises:
        TypeError, ValueError: As ``full_gradients``; also for an option that does not exist.

    Examples:
        >>> net = torch.nn.Sequential(
        ...     torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
        >>> {name: tuple(m.shape) for name, m in layer_maps(net, torch.rand(5, 3, 8, 8)).items()}
        {'0': (5, 1, 6, 6)}
    """
    model = validate_images(model, x, target)
    check_choice("resolution", resolution, ("native", "image"))
    psi = get_postprocess(postprocess)

    def maps(model: Model, x: Tensor, target: Target) -> dict[str, Tensor]:
        handler = LayerMapHandler(psi, placement, per_neuron)
        stream_bias_gradients(model, x, target, handler)
        return handler.layer_maps()

    native = whole_or_one_by_one(maps, join_layer_maps, model, x, target)
    if resolution == "native":
        return native
    size = (x.shape[2], x.shape[3])
    return {name: enlarge(site_map, size, "bilinear", psi) for name, site_map in native.items()}


@dataclass
class LayerMapHandler(BiasGradientHandler):
    """Reduces each bias-gradient to a map of its own, or to one for each channel."""

    postprocess: Postprocess
    placement: Placement | None
    per_neuron: bool = False
    maps: dict[Site, Tensor] = field(default_factory=dict)
    buffer: WorkBuffer = field(default_factory=WorkBuffer)

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        site = pending.site
        if site.layout is None and self.placement is None:
            return
        values = (self.placement or place_on_image)(site, pending.bias_gradient(gradient))
        if values is None:
            return
        n, c = values.shape[:2]
        if self.per_neuron:
            values = values.reshape(n * c, 1, *values.shape[2:])
        site_map = apply_postprocess(self.postprocess, values, None, self.buffer)
        self.maps[site] = site_map.reshape(n, -1, *site_map.shape[2:])

    def layer_maps(self) -> dict[str, Tensor]:
        """Returns site name -> (N, 1, h, w), or (N, C, h, w) per neuron, in execution order."""
        sites = sorted(self.maps, key=lambda site: site.position)
        return {site.name: self.maps[site] for site in sites}


def join_layer_maps(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Joins layer maps of single samples to those of the batch; a site that a sample lacks is 0."""
    examples = {name: site_map for part in parts for name, site_map in part.items()}
    return {
        name: torch.cat([part.get(name, torch.zeros_like(example)) for part in parts])
        for name, example in examples.items()
    }
