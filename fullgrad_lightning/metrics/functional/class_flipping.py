"""Class flipping: the change of log-odds when the evidence for one class is removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    ClassTarget,
    check_fractions,
    expand_single_logit,
    gather_class,
    logits_for_masks,
    resolve_classes,
)


class Flip(NamedTuple):
    """Log-odds of class a against class b, and their change when evidence for a is removed.

    Attributes:
        log_odds: (N,) float64, (z_a − z_b)(x) of the clean images, in nats.
        change: (N, F) float64, (z_a − z_b)(x) − (z_a − z_b)(x′), in nats: positive towards b.
        flipped: (N, F) bool, True where z_b > z_a after the removal.
        removed: (N, F) float64 in 0…1, the share of the pixels that are removed.
    """

    log_odds: Tensor
    change: Tensor
    flipped: Tensor
    removed: Tensor


def class_flipping(
    model: Model,
    images: Tensor,
    evidence: Tensor,
    fractions: Sequence[float],
    *,
    original: ClassTarget,
    target: int | Tensor,
    replacement: PixelReplacer | None = None,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> Flip:
    """Computes the change of log-odds when the pixels that favour a over b are removed.

        log p_a/p_b (x) − log p_a/p_b (x′) = (z_a − z_b)(x) − (z_a − z_b)(x′)

    Shrikumar et al., "DeepLIFT", ICML 2017, §4.1, turn digits into others with it; Srinivas &
    Fleuret 2019, §6, compare choices of ψ. The pixels of highest evidence are removed first, and
    only those of positive evidence: an image that has too few loses less than the fraction.

    Args:
        model: Returns logits (N, K); it runs in eval mode, and its state is restored exactly. A
            single logit stands for two classes, 0 where it is negative and 1 where it is positive.
        images: (N, C, H, W) as the network gets them.
        evidence: (N, 1, H, W) or (N, H, W) floating point, for a and against b. For a saliency
            method, the map of a minus the map of b.
        fractions: F shares of all pixels, 0…1, in ascending order: the maximum that is removed.
        original: The class a of the image: an index, indices (N,), or ``None``, the top class of
            each clean image.
        target: The class b: an index, or indices (N,).
        replacement: Replaces the pixels; default: by black, in images that are not normalised.
        sample_ids: (N,) integers, which decide among pixels that tie, and the noise; ``None``: the
            same for all.
        batch_size: Maximum number of images in one call of the network.

    Raises:
        TypeError, ValueError: An option out of range, inputs that do not fit (see ``logits_after``
            and ``rank_pixels``), or a sample whose two classes are the same.

    Examples:
        >>> model = torch.nn.Flatten()  # three pixels, three logits
        >>> images = evidence = torch.tensor([[[[3.0, 1.0, 0.0]]]])
        >>> flip = class_flipping(model, images, evidence, [0.4, 1.0], original=0, target=1)
        >>> flip.change, flip.removed
        (tensor([[3., 2.]], dtype=torch.float64), tensor([[0.3333, 0.6667]], dtype=torch.float64))
    """
    check_fractions(fractions)
    if target is None:
        raise TypeError("target must be a class index or indices (N,), got None.")
    ranks = rank_pixels(evidence, [0] * len(evidence) if sample_ids is None else sample_ids)
    if images.ndim != 4 or ranks.shape != (len(images), *images.shape[2:]):
        raise ValueError(
            "Images must be (N, C, H, W) and evidence (N, 1, H, W) or (N, H, W), got shapes "
            f"{tuple(images.shape)} and {tuple(evidence.shape)}."
        )
    ranks = ranks.to(images.device)
    positive = (evidence > 0).view(ranks.shape).to(images.device)
    # Positive evidence has the first ranks: these are the first k pixels, or all positive ones.
    masks = [PixelSelection(fraction=fraction).replaced(ranks) & positive for fraction in fractions]
    logits = expand_single_logit(
        logits_for_masks(
            model, images, [torch.zeros_like(positive), *masks], replacement or PixelReplacer(),
            sample_ids=sample_ids, batch_size=batch_size,
        )
    )  # fmt: skip
    a, b = resolve_classes(logits[0], original), resolve_classes(logits[0], target)
    if (a == b).any():
        same = (a == b).nonzero().flatten().tolist()
        raise ValueError(
            f"original and target must differ, but are the same class in {len(same)} of "
            f"{len(images)} samples, the first of them sample {same[0]}, class {int(a[same[0]])}."
        )
    log_odds = gather_class(logits, a) - gather_class(logits, b)
    removed = torch.stack(masks, 1).flatten(2).double().mean(2)
    after = log_odds[:, 1:]
    return Flip(log_odds[:, 0], log_odds[:, :1] - after, after < 0, removed)
