"""Pixel perturbation: the relative change of an output when pixels are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import Order
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    CLEAN,
    ClassTarget,
    check_fractions,
    gather_class,
    logits_for_selections,
    resolve_classes,
)


class Perturbation(NamedTuple):
    """An output, and its relative change when pixels are replaced.

    Attributes:
        output: (N,) float64, f(x) of the clean images.
        change: (N, F) float64 ≥ 0, |f(x′) − f(x)| / |f(x)| for each of F fractions; NaN where f(x)
            is 0 and no relative change exists.
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
    """Computes the relative change of the top class's logit when pixels are replaced.

        |f(x′) − f(x)| / |f(x)|

    Srinivas & Fleuret 2019, §5.1: replacing pixels that a good map calls unimportant changes
    little. (With the most salient pixels first, a large change may also come from images that are
    unlike the training data.) The class is that of the clean image.

    Args:
        model: Returns logits (N, K); it runs in eval mode, and its state is restored exactly.
        images: (N, C, H, W) as the network gets them.
        ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
        fractions: F shares of the pixels, 0…1, in ascending order.
        order: The pixels that are replaced first.
        replacement: Replaces the pixels; default: by black, in images that are not normalised.
        target: ``None`` (the top class of each clean image), a class index, or indices (N,).
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.
        batch_size: Maximum number of images in one call of the network.

    Returns:
        The output of the clean images and its relative changes.

    Raises:
        TypeError, ValueError: An option out of range, or inputs that do not fit; see
            ``logits_for_selections``.

    Examples:
        >>> model = torch.nn.Flatten()  # two pixels, two logits
        >>> images, ranks = torch.tensor([[[[3.0, 1.0]]]]), torch.tensor([[[0, 1]]])
        >>> pixel_perturbation(model, images, ranks, [0.5, 1.0]).change
        tensor([[0., 1.]], dtype=torch.float64)
    """
    check_fractions(fractions)
    selections = [PixelSelection(fraction=fraction, order=order) for fraction in fractions]
    logits = logits_for_selections(
        model, images, ranks, [CLEAN, *selections], replacement or PixelReplacer(),
        sample_ids=sample_ids, batch_size=batch_size,
    )  # fmt: skip
    outputs = gather_class(logits, resolve_classes(logits[0], target))
    clean = outputs[:, :1]
    change = (outputs[:, 1:] - clean).abs() / clean.abs()
    return Perturbation(clean[:, 0], change.masked_fill(clean == 0, torch.nan))
