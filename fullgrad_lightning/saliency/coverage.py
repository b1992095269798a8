"""How much of what the biases contribute a map can show."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Site, Target
from fullgrad_lightning.decomposition.bias_gradients import (
    stream_bias_gradients,
    whole_or_one_by_one,
)
from fullgrad_lightning.decomposition.handlers import BiasGradientHandler
from fullgrad_lightning.decomposition.tracing.pending_bias import PendingBias, per_sample
from fullgrad_lightning.saliency.map_accumulator import (
    Placement,
    Sites,
    is_bias_site,
    place_on_image,
)


def coverage(
    model: Model, x: Tensor, target: Target, sites: Sites, placement: Placement | None
) -> Tensor:
    """Σ|f^b| over what lies on the image, by Σ|f^b| over everything: (N,) float64."""

    def shares(model: Model, x: Tensor, target: Target) -> Tensor:
        consumer = _Shares(sites, placement or place_on_image)
        stream_bias_gradients(model, x, target, consumer)
        zero = torch.zeros(x.shape[0], dtype=torch.float64, device=x.device)
        placed, total = (sum(terms, start=zero) for terms in (consumer.placed, consumer.total))
        return torch.where(total == 0, 1, placed / total)

    return whole_or_one_by_one(shares, torch.cat, model, x, target)


@dataclass
class _Shares(BiasGradientHandler):
    sites: Sites
    placement: Placement
    placed: list[Tensor] = field(default_factory=list)
    total: list[Tensor] = field(default_factory=list)

    def receive(self, record: PendingBias, gradient: Tensor) -> None:
        site = record.site
        sizes = record.bias_gradient(gradient).expand_as(gradient).abs()
        self.total.append(per_sample(sizes, site.sample_axis))
        if self.sites == "all" or is_bias_site(site.op, site.kind):
            on_image = self.placement(site, sizes)
            if on_image is not None:
                self.placed.append(on_image.flatten(1).sum(1, dtype=torch.float64))

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        self.total.append(term.abs())
