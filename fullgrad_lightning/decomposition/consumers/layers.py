"""One map per site: Figure 1 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.operations.rules import Kind
from fullgrad_lightning.decomposition.stream import Model, run, whole_or_one_by_one
from fullgrad_lightning.decomposition.target import Target
from fullgrad_lightning.decomposition.tracing.records import Record, pairing
from fullgrad_lightning.decomposition.tracing.sites import Site


def layer_maps(model: Model, x: Tensor, target: Target = None) -> dict[str, Tensor]:
    """Sums the bias-gradients of each site over its channels: one signed map per site (Figure 1).

    Sites that do not lie on the image (vectors, attention scores, 1×1 maps) have no map.

    Args:
        model: Any differentiable network, run in eval mode and left as it was.
        x: (N, C, H, W).
        target: As in ``full_gradients``.

    Returns:
        Site name -> (N, 1, h, w) at the resolution of the site, in the order of execution.

    Raises:
        TypeError, ValueError: As ``full_gradients``.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(
        ...     torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
        >>> {name: tuple(m.shape) for name, m in layer_maps(net, torch.rand(5, 3, 8, 8)).items()}
        {'0': (5, 1, 6, 6)}
    """
    return whole_or_one_by_one(_maps, _join, model, x, target)


@dataclass
class _ChannelSums:
    maps: dict[Site, Tensor] = field(default_factory=dict)

    def wants(self, op: str, kind: Kind) -> bool:
        return True

    def receive(self, record: Record, gradient: Tensor) -> None:
        if record.site.layout is not None:
            values = record.site.layout.fold(pairing(gradient, record.bias(gradient)))
            self.maps[record.site] = values.sum(1, keepdim=True)

    def receive_unlocalized(self, site: Site, term: Tensor) -> None:
        pass  # has no place on the image


def _maps(model: Model, x: Tensor, target: Target) -> dict[str, Tensor]:
    consumer = _ChannelSums()
    run(model, x, target, consumer)
    in_order = sorted(consumer.maps.items(), key=lambda item: item[0].position)
    return {site.name: site_map for site, site_map in in_order}


def _join(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    shapes = {name: site_map for part in parts for name, site_map in part.items()}
    return {
        name: torch.cat([part.get(name, torch.zeros_like(one)) for part in parts])
        for name, one in shapes.items()
    }
