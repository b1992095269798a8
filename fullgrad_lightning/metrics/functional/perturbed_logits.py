"""What a network says of images after some of their pixels are replaced.

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
from fullgrad_lightning.utilities.describe import describe

ClassTarget = None | int | Tensor  # the top class of the clean image, an index, or indices (N,)

NOTHING = PixelSelection(fraction=0.0)  # replaced: the clean image


def logits_after(
    model: Model,
    images: Tensor,
    ranks: Tensor,
    selections: Sequence[PixelSelection],
    replacement: PixelReplacer,
    *,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> Tensor:
    """The logits of each image under each selection of its pixels.

    The network runs in eval mode without gradients, and is left exactly as it was. All selections
    come in the same batches: where nothing is replaced, logits are bit for bit those of the clean
    image.

    Args:
        model: Returns logits (N, K).
        images: (N, C, H, W) as the network gets them, on its device.
        ranks: (N, H, W) integers, 0 = most salient: of each image a permutation of 0…H·W − 1, from
            ``rank_pixels`` or a ``RankStore``.
        selections: S of them.
        replacement: What is put there.
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same noise for all.
        batch_size: The most images that the network gets at once.

    Returns:
        (S, N, K) float64; (S, 0, 1) without images.

    Raises:
        TypeError: Images or ranks of another dtype.
        ValueError: Shapes that do not fit, ranks that are no permutation, a batch_size that is no
            integer ≥ 1, or a model that does not return logits.
    """
    ranks = _checked_ranks(ranks, images)
    masks = (selection.replaced(ranks) for selection in selections)
    return logits_without(
        model, images, masks, replacement, sample_ids=sample_ids, batch_size=batch_size
    )


def logits_without(
    model: Model,
    images: Tensor,
    masks: Iterable[Tensor],
    replacement: PixelReplacer,
    *,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> Tensor:
    """The logits of each image under each of S masks; all else as of ``logits_after``.

    Args:
        model, images, replacement, sample_ids, batch_size: As of ``logits_after``.
        masks: S times (N, H, W) bool, True where a pixel is replaced.
    """
    ids = _ids(sample_ids, len(images))
    starts = range(0, len(images), checked_batch_size(batch_size))
    if not len(images):
        empty = torch.zeros(0, 1, dtype=torch.float64, device=images.device)
        return torch.stack([empty for _ in masks])
    parts = [slice(start, start + batch_size) for start in starts]
    replaced_by = _Replaced(images, replacement, ids)
    found = []
    with isolate_model(model, images, frozen=False), torch.no_grad():
        for mask in masks:
            outputs = [_logits(model(replaced_by(mask, part)), images[part]) for part in parts]
            found.append(torch.cat(outputs).double())
    return torch.stack(found)


class _Replaced:
    """Images under one mask after the other; what does not depend on the mask is made once."""

    def __init__(self, images: Tensor, replacement: PixelReplacer, ids: Sequence[int]) -> None:
        self.images, self.replacement, self.ids = images, replacement, ids
        everywhere = torch.ones_like(images[:, 0], dtype=torch.bool)
        depends = replacement.depends_on_mask
        self.baseline = None if depends else replacement(images, everywhere, ids)

    def __call__(self, mask: Tensor, part: slice) -> Tensor:
        images = self.images[part]
        if self.baseline is None:
            return self.replacement(images, mask[part], self.ids[part])
        return torch.where(mask[part, None], self.baseline[part], images)


def classes_of(clean: Tensor, target: ClassTarget) -> Tensor:
    """The class (N,) that is followed: the target, or the top class of the clean images.

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
            f"Targets go from {int(index.min())} to {int(index.max())}, but the model has {k} "
            f"outputs, 0…{k - 1}."
        )
    return index


def of_classes(values: Tensor, classes: Tensor) -> Tensor:
    """The values of each image's class: (S, N, K) and (N,) to (N, S)."""
    return values.gather(2, classes.expand(len(values), -1)[..., None])[..., 0].T


def two_classes(logits: Tensor) -> Tensor:
    """A single logit z as logits of two classes, (0, z): absent or present. Others as they are."""
    return torch.cat([0 * logits, logits], -1) if logits.shape[-1] == 1 else logits


def checked_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Fractions of the pixels, in 0…1 and in ascending order, at least one of them above 0.

    Raises:
        ValueError: They are not.
    """
    values = tuple(PixelSelection(fraction=fraction).fraction for fraction in fractions)
    ascending = all(a < b for a, b in pairwise(values))
    if not values or not ascending or values[-1] == 0:
        raise ValueError(
            f"fractions must be shares of the pixels in ascending order, not 0 alone, got {values}."
        )
    return values


def checked_batch_size(batch_size: int) -> int:
    """The most images that a network gets at once.

    Raises:
        ValueError: No integer ≥ 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer ≥ 1, got {batch_size!r}.")
    return batch_size


def _checked_ranks(ranks: Tensor, images: Tensor) -> Tensor:
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
            f"The ranks of each image must be a permutation of 0…{pixels - 1}. Make them with "
            "rank_pixels(maps, sample_ids)."
        )
    return flat.view(ranks.shape)


def _ids(sample_ids: Tensor | Sequence[int] | None, n: int) -> list[int]:
    if sample_ids is None:
        return [0] * n
    ids = [int(i) for i in sample_ids]
    if len(ids) != n:
        raise ValueError(f"Got {n} images and {len(ids)} sample ids.")
    return ids


def _logits(output: object, images: Tensor) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(images):
        raise ValueError(
            f"Expected the model to return logits (N, K) with N={len(images)}, but it returned "
            f"{describe(output)}. Wrap it in a torch.nn.Module that does."
        )
    return output
