"""Explanations of the watched samples, in chunks that bound the memory.

Shapes: n samples, K classes, (H, W) the size of the image, (h, w) that of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.validation_monitor import CHUNK_SIZE
from fullgrad_lightning.callbacks.fullgrad_monitor.options import MonitorOptions
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import WatchedSamples
from fullgrad_lightning.decomposition import AttributionBudget, Model, isolate_model
from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.fullgrad import Explanation, FullGrad
from fullgrad_lightning.utilities.targets import resolve_target

MAX_LAYERS = 10  # in a figure


@dataclass(frozen=True)
class SampleExplanations:
    """Explanations of n samples, on the CPU.

    Attributes:
        logits: (n, K).
        targets: (n,) explained classes.
        maps: Method -> (n, 1, H, W).
        coverage: (n,) of the main method's maps; ``None`` if it does not define any.
        layer_maps: For each sample, layer -> (1, 1, h, w); empty where they are not enabled.
        budgets: Budgets of the samples whose completeness is measured.
    """

    logits: Tensor
    targets: Tensor
    maps: dict[str, Tensor]
    coverage: Tensor | None
    layer_maps: list[dict[str, Tensor]]
    budgets: list[AttributionBudget]

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


def explain_samples(
    network: Model, samples: WatchedSamples, options: MonitorOptions, device: torch.device
) -> SampleExplanations:
    """Explains samples: one forward pass for the logits, and one decomposition of each chunk.

    Other methods than FullGrad take the passes that they need beside it.

    Args:
        network: Images (N, C, H, W) to logits (N, K); it is left as it was.
        samples: The n samples.
        options: Methods, target and what else is computed.
        device: The network's device.
    """
    parts = [_explain_chunk(network, s, options, device) for s in samples.split(CHUNK_SIZE)]
    coverages = [part.coverage for part in parts if part.coverage is not None]
    return SampleExplanations(
        torch.cat([part.logits for part in parts]),
        torch.cat([part.targets for part in parts]),
        {name: torch.cat([part.maps[name] for part in parts]) for name in options.methods},
        torch.cat(coverages) if coverages else None,
        [maps for part in parts for maps in part.layer_maps],
        [budget for part in parts for budget in part.budgets],
    )


def _explain_chunk(
    network: Model, samples: WatchedSamples, options: MonitorOptions, device: torch.device
) -> SampleExplanations:
    images, ids = samples.inputs.to(device), samples.positions
    with isolate_model(network, images), torch.no_grad():
        logits = network(images.clone())
    assert isinstance(logits, Tensor)
    targets = resolve_target(options.target, samples.labels.to(device))
    if targets is None:
        targets = logits.argmax(1)
    elif isinstance(targets, int):
        targets = torch.full((len(samples),), targets, device=device)
    measured = ids < options.residual_samples
    (name, main), *others = options.methods.items()
    explanation = _explain_by(
        main, network, images, targets, ids, options, budget=bool(measured.any())
    )
    maps = {name: explanation.saliency.cpu()}
    for name, method in others:
        maps[name] = method(network, images, targets, sample_ids=ids).cpu()
    return SampleExplanations(
        logits.cpu(),
        targets.cpu(),
        maps,
        None if explanation.coverage is None else explanation.coverage.cpu(),
        _select_layers(explanation.layer_maps or {}, len(samples)) if options.layer_maps else [],
        [] if explanation.budget is None else [_select_samples(explanation.budget, measured)],
    )


def _explain_by(
    method: SaliencyMethod,
    network: Model,
    images: Tensor,
    targets: Tensor,
    sample_ids: Tensor,
    options: MonitorOptions,
    *,
    budget: bool,
) -> Explanation:
    layer_maps: Literal["paper"] | None = "paper" if options.layer_maps else None
    with options.report_incompleteness() as tolerance:
        if isinstance(method, FullGrad):
            return method.explain(
                network, images, targets, coverage=True, layer_maps=layer_maps, budget=budget,
                sample_ids=sample_ids, tolerance=tolerance,
            )  # fmt: skip
        saliency = method(network, images, targets, sample_ids=sample_ids)
        if layer_maps is None and not budget:
            return Explanation(saliency)
        decomposition = FullGrad().explain(
            network, images, targets, layer_maps=layer_maps, budget=budget, tolerance=tolerance
        )
    return replace(decomposition, saliency=saliency)


def _select_layers(layer_maps: Mapping[str, Tensor], n: int) -> list[dict[str, Tensor]]:
    """Selects layers from the first to the last, few enough for a figure (Figure 1), by sample."""
    names = list(layer_maps)
    last, steps = len(names) - 1, MAX_LAYERS - 1
    selected = sorted({round(i * last / steps) for i in range(MAX_LAYERS)}) if names else []
    maps = {names[i]: layer_maps[names[i]].cpu() for i in selected}
    return [{name: values[i : i + 1] for name, values in maps.items()} for i in range(n)]


def _select_samples(budget: AttributionBudget, mask: Tensor) -> AttributionBudget:
    """Selects the samples of a budget at which ``mask`` (n,) is true."""
    mask = mask.to(budget.output.device)
    terms = {name: term[mask] for name, term in budget.bias_terms.items()}
    return AttributionBudget(budget.output[mask], budget.input_term[mask], terms, budget.sites)
