"""ROAD: remove and debias. ROAR's question without its retraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    NOTHING,
    ClassTarget,
    checked_fractions,
    classes_of,
    logits_after,
    of_classes,
    two_classes,
)


@dataclass(frozen=True)
class ROADCurves:
    """What is left of a class after pixels are removed from either end of their order.

    Attributes:
        most_probability, least_probability: (N, F) float64 in [0, 1], the probability of the class
            with the most, or the least, salient pixels removed.
        most_correct, least_correct: (N, F) bool, whether it is the top class then.
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
    """How well a network still knows a class after pixels are removed, without retraining.

    Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML
    2022: removed pixels are imputed from their neighbours, with noise, so that the shape of the
    hole tells little. Where saliency is faithful, removing the most salient pixels first hurts
    more than removing the least salient ones first.

    Args:
        model: Returns logits (N, K); it runs in eval mode and is left exactly as it was. A single
            logit stands for two classes, 0 where it is negative and 1 where it is positive.
        images: (N, C, H, W) as the network gets them.
        ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
        fractions: F shares of the pixels, 0…1, in ascending order.
        replacement: What is put there; default: noisy linear imputation, of images that were not
            normalised.
        target: The class: indices (N,), the labels as in the paper, for accuracy; a class index;
            or ``None``, the top class of each clean image, for agreement with it.
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.
        batch_size: The most images that the network gets at once.

    Raises:
        TypeError, ValueError: An option out of range, or inputs that do not fit; see
            ``logits_after``.

    Examples:
        >>> import torch
        >>> model, ranks = torch.nn.Flatten(), torch.tensor([[[0, 1, 2]]])
        >>> curves = road(model, torch.tensor([[[[3.0, 0.0, 1.0]]]]), ranks, [0.4])
        >>> curves.most_correct, curves.least_correct
        (tensor([[False]]), tensor([[True]]))
    """
    shares = checked_fractions(fractions)
    most = [PixelSelection(fraction=share, order="most_salient") for share in shares]
    least = [PixelSelection(fraction=share, order="least_salient") for share in shares]
    logits = two_classes(
        logits_after(
            model, images, ranks, [NOTHING, *most, *least],
            replacement or PixelReplacer(fill="noisy_linear"),
            sample_ids=sample_ids, batch_size=batch_size,
        )
    )  # fmt: skip
    classes = classes_of(logits[0], target)
    probability = of_classes(logits.softmax(2), classes)[:, 1:]
    correct = (logits.argmax(2) == classes).T[:, 1:]
    count = len(shares)
    return ROADCurves(
        probability[:, :count], probability[:, count:], correct[:, :count], correct[:, count:]
    )
