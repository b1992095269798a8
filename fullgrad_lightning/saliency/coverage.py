"""Coverage: the share of the bias contributions that a saliency map can display."""

from __future__ import annotations

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Site
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias, per_sample
from fullgrad_lightning.saliency.map_accumulator import (
    Placement,
    Sites,
    is_bias_site,
    place_on_image,
)


class CoverageHandler(BiasGradientHandler):
    """Sums |f^b| per sample, over the sites that the map places on the image and over all."""

    def __init__(self, sites: Sites, placement: Placement | None) -> None:
        self.sites = sites
        self.placement = placement or place_on_image
        self._placed: list[Tensor] = []
        self._total: list[Tensor] = []

    def receive(self, pending: PendingBias, gradient: Tensor) -> None:
        site = pending.site
        sizes = pending.bias_gradient(gradient).expand_as(gradient).abs()
        self._total.append(per_sample(sizes, site.sample_axis))
        if self.sites == "all" or is_bias_site(site.op, site.kind):
            on_image = self.placement(site, sizes)
            if on_image is not None:
                self._placed.append(on_image.flatten(1).sum(1, dtype=torch.float64))

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        self._total.append(term.abs())

    def coverage(self, x: Tensor) -> Tensor:
        """Returns Σ|f^b| on the images x, divided by Σ|f^b| over all sites: (N,) float64."""
        zero = torch.zeros(x.shape[0], dtype=torch.float64, device=x.device)
        placed, total = (sum(terms, start=zero) for terms in (self._placed, self._total))
        return torch.where(total == 0, 1, placed / total)
