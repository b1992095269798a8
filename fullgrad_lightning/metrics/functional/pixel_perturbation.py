"""Pixel perturbation: how much an output changes when a few pixels are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import Order, PixelSelection
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    NOTHING,
    ClassTarget,
    checked_fractions,
    classes_of,
    logits_after,
    of_classes,
)


class Perturbation(NamedTuple):
    """What replacing pixels does to an output.

    Attributes:
        output: (N,) float64, f(x) of the clean images.
        change: (N, F) float64 ≥ 0, |f(x′) − f(x)| / |f(x)| for each of F fractions; NaN where f(x)
            is 0, of which no relative change exists.
    """

    output: Tensor
    change: Tensor


def pixel_perturbation(
    model: Model,
    images: Tensor,
    ranks: Tensor,
    fractions: Sequence[float],
    *,
    order: Order = "least_salient",
    replacement: PixelReplacer | None = None,
    target: ClassTarget = None,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> Perturbation:
    """The relative change of the top class's logit when a fraction of the pixels is replaced.

        |f(x′) − f(x)| / |f(x)|

    Srinivas & Fleuret 2019, §5.1: pixels that a good map calls unimportant change little. (The
    other order asks the opposite, and cannot tell importance from images that look like nothing
    the network knows.) The class is that of the clean image.

    Args:
        model: Returns logits (N, K); it runs in eval mode and is left exactly as it was.
        images: (N, C, H, W) as the network gets them.
        ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
        fractions: F shares of the pixels, 0…1, in ascending order.
        order: Which pixels are replaced first.
        replacement: By what; default: black, in images that were not normalised.
        target: ``None`` (the top class of each clean image), a class index, or indices (N,).
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.
        batch_size: The most images that the network gets at once.

    Returns:
        The output of the clean images and its relative changes.

    Raises:
        TypeError, ValueError: An option out of range, or inputs that do not fit; see
            ``logits_after``.

    Examples:
        >>> model = torch.nn.Flatten()  # two pixels, two logits
        >>> images, ranks = torch.tensor([[[[3.0, 1.0]]]]), torch.tensor([[[0, 1]]])
        >>> pixel_perturbation(model, images, ranks, [0.5, 1.0]).change
        tensor([[0., 1.]], dtype=torch.float64)
    """
    selections = [
        PixelSelection(fraction=fraction, order=order) for fraction in checked_fractions(fractions)
    ]
    logits = logits_after(
        model, images, ranks, [NOTHING, *selections], replacement or PixelReplacer(),
        sample_ids=sample_ids, batch_size=batch_size,
    )  # fmt: skip
    outputs = of_classes(logits, classes_of(logits[0], target))
    clean = outputs[:, :1]
    change = (outputs[:, 1:] - clean).abs() / clean.abs()
    return Perturbation(clean[:, 0], change.masked_fill(clean == 0, torch.nan))
