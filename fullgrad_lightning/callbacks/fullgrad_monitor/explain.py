"""Explains a network's answers to the watched samples, without a trace in its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition import Model, isolate_model
from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.layer_maps import layer_maps

Logits = Callable[[object], Tensor]
AT_ONCE = 16  # samples, to bound the memory
MOST_LAYERS = 10  # that a picture shows


class LogitsOf(nn.Module):
    """A network whose output is turned into logits (N, K)."""

    def __init__(self, network: nn.Module, logits: Logits) -> None:
        super().__init__()
        self.network = network
        self._logits = logits

    def forward(self, x: Tensor) -> Tensor:
        return self._logits(self.network(x))


@dataclass(frozen=True)
class Answers:
    """What a network says to some samples.

    Attributes:
        network: Whose output is (N, K) logits.
        logits: (n, K).
    """

    network: Model
    logits: Tensor

    @property
    def predicted(self) -> Tensor:
        """(n,) class indices."""
        return self.logits.argmax(1)

    @property
    def confidence(self) -> Tensor:
        """(n,) probability of the predicted class; of a single logit, that of its sign."""
        logits = self.logits.float()
        if logits.shape[1] == 1:
            return torch.sigmoid(logits[:, 0].abs())
        return logits.softmax(1).amax(1)


def answers(network: nn.Module, inputs: Tensor, logits: Logits) -> Answers:
    """Asks a network in eval mode, and leaves it as it was.

    Args:
        network: Returns anything that ``logits`` turns into (N, K).
        inputs: (n, C, H, W), on the network's device.
        logits: ``output -> (N, K)``.
    """
    with isolate_model(network, inputs), torch.no_grad():
        outputs = [network(part.clone()) for part in inputs.split(AT_ONCE)]
        found = torch.cat([logits(output) for output in outputs])
    as_it_is = isinstance(outputs[0], Tensor) and logits(outputs[0]) is outputs[0]
    return Answers(network if as_it_is else LogitsOf(network, logits), found)


def maps_of(
    methods: Mapping[str, SaliencyMethod],
    network: Model,
    inputs: Tensor,
    targets: Tensor,
    sample_ids: Tensor,
) -> dict[str, Tensor]:
    """The maps of each method, (n, 1, H, W) on the CPU."""
    found = {}
    for name, method in methods.items():
        parts = zip(
            inputs.split(AT_ONCE), targets.split(AT_ONCE), sample_ids.split(AT_ONCE), strict=True
        )
        found[name] = torch.cat(
            [method(network, x, target, sample_ids=ids).cpu() for x, target, ids in parts]
        )
    return found


def shown_layers(network: Model, inputs: Tensor, targets: Tensor) -> list[dict[str, Tensor]]:
    """For each sample, the maps (1, 1, h, w) of layers from the first to the last (Figure 1)."""
    shown = []
    for x, target in zip(inputs.split(1), targets.split(1), strict=True):
        maps = layer_maps(network, x, target, postprocess="paper")
        names: Sequence[str] = list(maps)
        last, steps = len(names) - 1, MOST_LAYERS - 1
        picked = sorted({round(i * last / steps) for i in range(MOST_LAYERS)}) if names else []
        shown.append({names[i]: maps[names[i]].cpu() for i in picked})
    return shown
