"""Model parameter randomisation test: saliency maps before and after layers are re-initialised."""

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
    """Compares the maps of a network with those of the same network as layers are re-initialised.

    The model parameter randomization test of Adebayo et al., "Sanity Checks for Saliency Maps",
    NeurIPS 2018, §3: layers are re-initialised one after the other, from the output to the input
    (``CascadingRandomization``). A map that explains the network must change; a map that stays like
    the original, as an edge detector's does, does not depend on the learnt weights. The change is
    necessary, not sufficient: it does not show that the original map is right.

    Args:
        model: The network; it is not modified.
        images: (N, C, H, W), on the model's device; H and W ≥ 11.
        methods: Saliency methods by their names in reports, or registered names alone.
        target: The explained class, as in ``full_gradients``; ``None``: the top class of the
            original network. It is the same at all stages.
        stages, seed: See ``CascadingRandomization``.
        sample_ids: (N,) integers from which stochastic methods draw; default: a hash of each
            sample. A sample's noise is the same at all stages.
        batch_size: Number of images in a batch.
        pictures: Number of samples whose maps are kept for drawing, the first ones.
        progress: Called after each method of each stage with the numbers of finished and of all
            computations.

    Returns:
        The similarity of each sample's map at each stage to its original, by method.

    Raises:
        TypeError, ValueError: See ``CascadingRandomization`` and the methods; no method, or an
            option out of range.

    Examples:
        >>> net = nn.Sequential(
        ...     nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 5))
        >>> curves = check_randomization(net, torch.rand(4, 3, 16, 16), ["fullgrad", "sobel"])
        >>> curves.headings, [round(e.mean, 3) for e in curves.estimates("spearman", "sobel")]
        (('original', '3', '0'), [1.0, 1.0, 1.0])
    """
    if isinstance(methods, str) or not methods:
        raise ValueError(
            "methods must be names of saliency methods, such as ['fullgrad', 'gradcam'], or a dict "
            f"of names and methods, got {methods!r}."
        )
    if not isinstance(methods, Mapping):
        methods = {name: saliency_method(name) for name in methods}
    check_int("batch_size", batch_size, 1)
    check_int("pictures", pictures, 1)
    validate_images(model, images, target)
    networks = CascadingRandomization(model, images, stages=stages, seed=seed)
    target = fix_target(networks.model, images, target)
    batches = torch.arange(len(images)).split(batch_size)

    def compute_maps(network: nn.Module, method: SaliencyMethod) -> Tensor:
        maps = []
        for rows in batches:
            ids = None if sample_ids is None else sample_ids[rows]
            classes = index_target(target, rows)
            maps.append(method(network, images[rows], classes, sample_ids=ids).cpu())
        return torch.cat(maps)

    originals: dict[str, Tensor] = {}
    similarity: dict[str, dict[str, list[Tensor]]] = {key: {} for key in MEASURES}
    kept: dict[str, list[Tensor]] = {name: [] for name in methods}
    for stage, network in enumerate(networks):
        for number, (name, method) in enumerate(methods.items(), 1):
            maps = compute_maps(network, method)
            for key, values in similarities(maps, originals.setdefault(name, maps)).items():
                similarity[key].setdefault(name, []).append(values)
            kept[name].append(maps[:pictures].clone())  # a view would keep all maps
            if progress is not None:
                progress(stage * len(methods) + number, len(networks) * len(methods))
    return SanityCurves(
        layers=networks.layers,
        depths=networks.depths,
        similarity={
            key: {name: torch.stack(values) for name, values in by_method.items()}
            for key, by_method in similarity.items()
        },
        maps={name: torch.stack(maps) for name, maps in kept.items()},
    )
