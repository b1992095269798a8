"""Options of a ``FullGradMonitor``, and the explanations of its watched samples by them.

Shapes: n samples, K classes, (H, W) the size of the image, (h, w) that of a layer.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.validation_monitor import CHUNK_SIZE
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import WatchedSamples
from fullgrad_lightning.decomposition import (
    AttributionBudget,
    IncompleteDecomposition,
    Model,
    isolate_model,
)
from fullgrad_lightning.saliency import SaliencyMethod, saliency_method
from fullgrad_lightning.saliency.fullgrad import Explanation, FullGrad
from fullgrad_lightning.utilities.checks import check_choice, check_int
from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.utilities.targets import TargetSpec, check_target, resolve_target

MAX_LAYERS = 10  # in a figure


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """Options of the explanations, see ``FullGradMonitor``; the main method comes first."""

    methods: dict[str, SaliencyMethod]
    target: TargetSpec
    layer_maps: bool
    residual_samples: int
    tolerance: float | None
    on_incomplete: Literal["warn", "error", "ignore"]

    def __post_init__(self) -> None:
        check_target(self.target)
        check_int("residual_samples", self.residual_samples, 1)
        check_choice("on_incomplete", self.on_incomplete, ("warn", "error", "ignore"))
        if self.tolerance is not None and not self.tolerance > 0:
            raise ValueError(
                f"tolerance must be a relative residual > 0, or None for the default of the dtype, "
                f"got {self.tolerance!r}."
            )

    @contextmanager
    def report_incompleteness(self) -> Iterator[float | None]:
        """Applies ``on_incomplete`` to warnings inside; yields the tolerance to decompose with."""
        with warnings.catch_warnings():
            if self.on_incomplete != "warn":
                warnings.simplefilter(self.on_incomplete, IncompleteDecomposition)
            yield math.inf if self.on_incomplete == "ignore" else self.tolerance


def create_methods(
    method: str,
    method_options: dict[str, Any] | None,
    methods: Sequence[str],
    postprocess: str | None,
) -> dict[str, SaliencyMethod]:
    """Creates the saliency methods of a monitor by name, the main one first.

    ``postprocess`` is ψ of FullGrad and its variants; ``method_options`` takes precedence.
    """
    if isinstance(methods, str):
        raise ValueError(f"methods must be a list of names, got {methods!r}.")
    created = {}
    for name in (method, *methods):
        options = (method_options or {}) if name == method else {}
        created_method = saliency_method(name, **options)
        has_psi = isinstance(created_method, FullGrad)
        if has_psi and postprocess is not None and "postprocess" not in options:
            created_method = saliency_method(name, **options, postprocess=postprocess)
        created[name] = created_method
    if postprocess is not None and not any(isinstance(m, FullGrad) for m in created.values()):
        raise ValueError(
            "postprocess belongs to fullgrad and its variants; none of them is among the methods "
            f"{', '.join(created)}."
        )
    return created


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
    """Explains samples, in chunks that bound the memory; the network is left as it was.

    Each chunk takes one forward pass for the logits and one decomposition. Other methods than
    FullGrad take the passes that they need beside it.
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
    selected = [names[i] for i in evenly_spaced_indices(len(names), MAX_LAYERS)]
    maps = {name: layer_maps[name].cpu() for name in selected}
    return [{name: values[i : i + 1] for name, values in maps.items()} for i in range(n)]


def _select_samples(budget: AttributionBudget, mask: Tensor) -> AttributionBudget:
    """Selects the samples of a budget at which ``mask`` (n,) is true."""
    mask = mask.to(budget.output.device)
    terms = {name: term[mask] for name, term in budget.bias_terms.items()}
    return AttributionBudget(budget.output[mask], budget.input_term[mask], terms, budget.sites)
