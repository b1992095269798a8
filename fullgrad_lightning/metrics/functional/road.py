"""ROAD, remove and debias: the accuracy after pixels are removed, without retraining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    CLEAN,
    ClassTarget,
    check_fractions,
    expand_single_logit,
    gather_class,
    logits_for_selections,
    resolve_classes,
)


class ROADCurves(NamedTuple):
    """Probability and rank of a class after pixels are removed from either end of their order.

    Attributes:
        most_probability, least_probability: (N, F) float64 in [0, 1], the probability of the class
            with the most, or the least, salient pixels removed.
        most_correct, least_correct: (N, F) bool, True where it is still the top class.
    """

    most_probability: Tensor
    least_probability: Tensor
    most_correct: Tensor
    least_correct: Tensor


def road(
    model: Model,
    images: Tensor,
    ranks: Tensor,
    fractions: Sequence[float],
    *,
    replacement: PixelReplacer | None = None,
    target: ClassTarget = None,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> ROADCurves:
    """Computes how well a network still recognises a class after pixels are removed.

    Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML
    2022: removed pixels are imputed from their neighbours, with noise, so that the shape of the
    hole reveals little. Where saliency is faithful, removing the most salient pixels first hurts
    more than removing the least salient ones first.

    Args:
        model: Returns logits (N, K); it runs in eval mode, and its state is restored exactly. A
            single logit stands for two classes, 0 where it is negative and 1 where it is positive.
        images: (N, C, H, W) as the network gets them.
        ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
        fractions: F shares of the pixels, 0…1, in ascending order.
        replacement: Replaces the pixels; default: by noisy linear imputation, in images that are
            not normalised.
        target: The class: indices (N,), the labels as in the paper, for accuracy; a class index;
            or ``None``, the top class of each clean image, for agreement with it.
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.
        batch_size: Maximum number of images in one call of the network.

    Raises:
        TypeError, ValueError: An option out of range, or inputs that do not fit; see
            ``logits_for_selections``.

    Examples:
        >>> import torch
        >>> model, ranks = torch.nn.Flatten(), torch.tensor([[[0, 1, 2]]])
        >>> curves = road(model, torch.tensor([[[[3.0, 0.0, 1.0]]]]), ranks, [0.4])
        >>> curves.most_correct, curves.least_correct
        (tensor([[False]]), tensor([[True]]))
    """
    check_fractions(fractions)
    most = [PixelSelection(fraction=fraction, order="most_salient") for fraction in fractions]
    least = [PixelSelection(fraction=fraction, order="least_salient") for fraction in fractions]
    logits = expand_single_logit(
        logits_for_selections(
            model, images, ranks, [CLEAN, *most, *least],
            replacement or PixelReplacer(fill="noisy_linear"),
            sample_ids=sample_ids, batch_size=batch_size,
        )
    )  # fmt: skip
    classes = resolve_classes(logits[0], target)
    probability = gather_class(logits.softmax(2), classes)[:, 1:]
    correct = (logits.argmax(2) == classes).T[:, 1:]
    count = len(most)
    return ROADCurves(
        probability[:, :count], probability[:, count:], correct[:, :count], correct[:, count:]
    )
