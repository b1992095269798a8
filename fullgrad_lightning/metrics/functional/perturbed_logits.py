"""Logits of images with some of their pixels replaced, which all perturbation metrics compute.

Shapes: N images of C channels, (H, W) their size; S selections of pixels; K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, isolate_model
from fullgrad_lightning.decomposition.target import validate_target
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.utilities.checks import check_fraction, check_int
from fullgrad_lightning.utilities.describe import describe

ClassTarget = None | int | Tensor  # the top class of the clean image, an index, or indices (N,)

CLEAN = PixelSelection(fraction=0.0)  # replaces no pixel


def logits_for_selections(
    model: Model,
    images: Tensor,
    ranks: Tensor,
    selections: Sequence[PixelSelection],
    replacement: PixelReplacer,
    *,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Computes the logits of each image under each selection of its pixels.

    The network runs in eval mode without gradients, and its state is restored exactly. All
    selections use the same batches: where no pixel is replaced, logits are bit for bit those of the
    clean image.

    Args:
        model: Returns logits (N, K).
        images: (N, C, H, W) as the network gets them, on its device.
        ranks: (N, H, W) integers, 0 = most salient: for each image a permutation of 0…H·W − 1, from
            ``rank_pixels`` or a ``RankStore``.
        selections: S selections.
        replacement: Replaces the selected pixels.
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same noise for all.
        batch_size: Maximum number of images in one call of the network.

    Returns:
        (S, N, K) float64; (S, 0, 1) without images.

    Raises:
        TypeError: Images or ranks of another dtype.
        ValueError: Shapes that do not fit, ranks that are not a permutation, a batch_size that is
            not an integer ≥ 1, or a model that does not return logits.
    """
    ranks = _check_ranks(ranks, images)
    masks = (selection.replaced(ranks) for selection in selections)
    return logits_for_masks(
        model, images, masks, replacement, sample_ids=sample_ids, batch_size=batch_size
    )


def logits_for_masks(
    model: Model,
    images: Tensor,
    masks: Iterable[Tensor],
    replacement: PixelReplacer,
    *,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Computes the logits of each image under each of S masks, like ``logits_for_selections``.

    Args:
        model, images, replacement, sample_ids, batch_size: See ``logits_for_selections``.
        masks: S masks (N, H, W) bool, True where a pixel is replaced.
    """
    check_int("batch_size", batch_size, 1)
    ids = _check_ids(sample_ids, len(images))
    if not len(images):
        empty = torch.zeros(0, 1, dtype=torch.float64, device=images.device)
        return torch.stack([empty for _ in masks])
    batches = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
    replaced_images = replacement.bind(images, ids)
    logits = []
    with isolate_model(model, images, frozen=False), torch.no_grad():
        for mask in masks:
            outputs = [
                _check_logits(model(replaced_images(mask, rows)), images[rows]) for rows in batches
            ]
            logits.append(torch.cat(outputs).double())
    return torch.stack(logits)


def resolve_classes(clean: Tensor, target: ClassTarget) -> Tensor:
    """Returns the class (N,) that is followed: the target, or the top class of the clean images.

    Args:
        clean: (N, K) logits of the clean images.
        target: ``None``, a class index, or class indices (N,).

    Raises:
        TypeError: Another target.
        ValueError: An index outside 0…K − 1, or not one for each image.
    """
    n, k = clean.shape
    if not n or target is None:
        return clean.argmax(1)
    validate_target(target, n)
    if not isinstance(target, int | Tensor):
        raise TypeError("target must be None (top class), an int or an integer tensor (N,).")
    index = torch.as_tensor(target, dtype=torch.int64, device=clean.device).expand(n)
    if ((index < 0) | (index >= k)).any():
        raise ValueError(
            f"Targets range from {int(index.min())} to {int(index.max())}, but the model has {k} "
            f"outputs, 0…{k - 1}."
        )
    return index


def gather_class(values: Tensor, classes: Tensor) -> Tensor:
    """Gathers the value of each image's class: (S, N, K) and (N,) to (N, S)."""
    return values.gather(2, classes.expand(len(values), -1)[..., None])[..., 0].T


def expand_single_logit(logits: Tensor) -> Tensor:
    """Turns a single logit z into those of two classes, (0, z): absent or present."""
    return torch.cat([0 * logits, logits], -1) if logits.shape[-1] == 1 else logits


def check_fractions(fractions: Sequence[float]) -> None:
    """Checks that fractions of the pixels, in 0…1, are in ascending order and not 0 alone.

    Raises:
        ValueError: They are not.
    """
    values = tuple(fractions)
    for value in values:
        check_fraction("each fraction", value)
    ascending = all(smaller < larger for smaller, larger in pairwise(values))
    if not values or not ascending or values[-1] == 0:
        raise ValueError(
            f"fractions must be shares of the pixels in ascending order, not 0 alone, got {values}."
        )


def _check_ranks(ranks: Tensor, images: Tensor) -> Tensor:
    """Returns ranks as int64, on the device of the images."""
    if ranks.is_floating_point() or ranks.dtype == torch.bool:
        raise TypeError(
            f"ranks must be integers, 0 = most salient, got {ranks.dtype}. Rank saliency maps "
            "first: rank_pixels(maps, sample_ids)."
        )
    if images.ndim != 4 or ranks.shape != (len(images), *images.shape[2:]):
        raise ValueError(
            f"Images must be (N, C, H, W) and ranks (N, H, W), got shapes {tuple(images.shape)} "
            f"and {tuple(ranks.shape)}."
        )
    flat = ranks.to(images.device, torch.int64).flatten(1)
    pixels = flat.shape[1]
    seen = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, flat.clamp(0, pixels - 1), True)
    if not seen.all():
        raise ValueError(
            f"The ranks of each image must be a permutation of 0…{pixels - 1}. Compute them with "
            "rank_pixels(maps, sample_ids)."
        )
    return flat.view(ranks.shape)


def _check_ids(sample_ids: Tensor | Sequence[int] | None, n: int) -> list[int]:
    if sample_ids is None:
        return [0] * n
    ids = [int(i) for i in sample_ids]
    if len(ids) != n:
        raise ValueError(f"Got {n} images and {len(ids)} sample ids.")
    return ids


def _check_logits(output: object, images: Tensor) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(images):
        raise ValueError(
            f"Expected the model to return logits (N, K) with N={len(images)}, but it returned "
            f"{describe(output)}. Wrap it in a torch.nn.Module that does."
        )
    return output
