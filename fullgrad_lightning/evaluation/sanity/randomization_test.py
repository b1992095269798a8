"""Whether saliency maps notice that a network forgets what it has learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition import Target
from fullgrad_lightning.evaluation.sanity.cascading_randomization import CascadingRandomization
from fullgrad_lightning.evaluation.sanity.results import SanityCurves
from fullgrad_lightning.evaluation.sanity.similarity import MEASURES, similarities
from fullgrad_lightning.saliency.base import (
    SaliencyMethod,
    fix_target,
    index_target,
    validate_images,
)
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_int


def check_randomization(
    model: nn.Module,
    images: Tensor,
    methods: Mapping[str, SaliencyMethod] | Sequence[str],
    *,
    target: Target = None,
    stages: int | None = 8,
    seed: int = 0,
    sample_ids: Tensor | None = None,
    batch_size: int = 16,
    pictures: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SanityCurves:
    """Compares the maps of a network with those of the same network as it forgets.

    The model parameter randomization test of Adebayo et al., "Sanity Checks for Saliency Maps",
    NeurIPS 2018, §3: layers are re-initialised one after the other, from the output to the input
    (``CascadingRandomization``). A map that explains the network must change; one that stays like
    the original, as an edge detector's does, does not depend on what was learnt. To change is
    necessary, and not enough: it does not say that the original map is right.

    Args:
        model: The network; it is left exactly as it was.
        images: (N, C, H, W), on its device; H and W ≥ 11.
        methods: By the name under which they are reported, or registered names alone.
        target: The class that is explained, as in ``full_gradients``; ``None``: the top class of
            the original network. It stays the same through all stages.
        stages, seed: As in ``CascadingRandomization``.
        sample_ids: (N,) integers from which stochastic methods draw; default: a hash of each
            sample. A sample's noise is the same at all stages.
        batch_size: How many images are explained at once.
        pictures: The maps of how many samples are kept for drawing, the first ones.
        progress: Is told after each method of each stage how many of how many are done.

    Returns:
        The similarity of each sample's map at each stage to its original, by method.

    Raises:
        TypeError, ValueError: As ``CascadingRandomization`` and the methods; no method, or an
            option out of range.

    Examples:
        >>> net = nn.Sequential(
        ...     nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 5))
        >>> found = check_randomization(net, torch.rand(4, 3, 16, 16), ["fullgrad", "sobel"])
        >>> found.headings, [round(e.mean, 3) for e in found.estimates("spearman", "sobel")]
        (('original', '3', '0'), [1.0, 1.0, 1.0])
    """
    chosen = _by_name(methods)
    check_int("batch_size", batch_size, 1)
    check_int("pictures", pictures, 1)
    validate_images(model, images, target)
    forgetting = CascadingRandomization(model, images, stages=stages, seed=seed)
    target = fix_target(forgetting.model, images, target)
    rows = torch.arange(len(images)).split(batch_size)

    def maps_of(network: nn.Module, method: SaliencyMethod) -> Tensor:
        parts = []
        for part in rows:
            ids = None if sample_ids is None else sample_ids[part]
            wanted = index_target(target, part)
            parts.append(method(network, images[part], wanted, sample_ids=ids).cpu())
        return torch.cat(parts)

    originals: dict[str, Tensor] = {}
    similarity: dict[str, dict[str, list[Tensor]]] = {key: {} for key in MEASURES}
    kept: dict[str, list[Tensor]] = {name: [] for name in chosen}
    for stage, network in enumerate(forgetting):
        for number, (name, method) in enumerate(chosen.items(), 1):
            maps = maps_of(network, method)
            for key, values in similarities(maps, originals.setdefault(name, maps)).items():
                similarity[key].setdefault(name, []).append(values)
            kept[name].append(maps[:pictures].clone())  # not the others with them
            if progress is not None:
                progress(stage * len(chosen) + number, len(forgetting) * len(chosen))
    return SanityCurves(
        layers=forgetting.layers,
        depths=forgetting.depths,
        similarity={
            key: {name: torch.stack(values) for name, values in by_method.items()}
            for key, by_method in similarity.items()
        },
        maps={name: torch.stack(maps) for name, maps in kept.items()},
    )


def _by_name(
    methods: Mapping[str, SaliencyMethod] | Sequence[str],
) -> Mapping[str, SaliencyMethod]:
    if isinstance(methods, str) or not methods:
        raise ValueError(
            "methods must be names of saliency methods, as ['fullgrad', 'gradcam'], or a dict of "
            f"name and method, got {methods!r}."
        )
    if isinstance(methods, Mapping):
        return methods
    return {name: saliency_method(name) for name in methods}
