"""Insertion and deletion: the probability of the class as pixels are added or removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    ClassTarget,
    expand_single_logit,
    gather_class,
    logits_for_selections,
    resolve_classes,
)
from fullgrad_lightning.utilities.checks import check_int


@dataclass(frozen=True)
class InsertionDeletionCurves:
    """Probabilities of a class as pixels are added or removed, the most salient first.

    Attributes:
        fractions: (S,) float64, shares of the pixels that are added, or removed: 0, …, 1.
        insertion: (N, S) float64 in [0, 1].
        deletion: (N, S) float64 in [0, 1].
    """

    fractions: Tensor
    insertion: Tensor
    deletion: Tensor

    @property
    def insertion_auc(self) -> Tensor:
        """(N,) in [0, 1], the area under the insertion curve by trapezoids; larger is better."""
        return torch.trapezoid(self.insertion, self.fractions)

    @property
    def deletion_auc(self) -> Tensor:
        """(N,) in [0, 1], the area under the deletion curve by trapezoids; smaller is better."""
        return torch.trapezoid(self.deletion, self.fractions)


def insertion_deletion(
    model: Model,
    images: Tensor,
    ranks: Tensor,
    *,
    steps: int = 50,
    insert_into: PixelReplacer | None = None,
    delete_to: PixelReplacer | None = None,
    target: ClassTarget = None,
    sample_ids: Tensor | Sequence[int] | None = None,
    batch_size: int = 64,
) -> InsertionDeletionCurves:
    """Computes the probability of the class as pixels are added to a baseline, or removed.

    Petsiuk et al., "RISE", BMVC 2018, §4.2: the most salient pixels come first; insertion starts
    from a blurred image and deletion ends at a black one. The class is that of the clean image; for
    a network with a single logit it is 0 where that is negative and 1 where it is positive.

    Args:
        model: Returns logits (N, K); it runs in eval mode, and its state is restored exactly.
        images: (N, C, H, W) as the network gets them.
        ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
        steps: S − 1, the number of equal steps from no pixel to all.
        insert_into: Baseline of insertion; default: a blur.
        delete_to: Baseline of deletion; default: black, in images that are not normalised.
        target: ``None`` (the top class of each clean image), a class index, or indices (N,).
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.
        batch_size: Maximum number of images in one call of the network.

    Raises:
        TypeError, ValueError: An option out of range, or inputs that do not fit; see
            ``logits_for_selections``.

    Examples:
        >>> model = torch.nn.Flatten()  # two pixels, two logits
        >>> images, ranks = torch.tensor([[[[3.0, 0.0]]]]), torch.tensor([[[0, 1]]])
        >>> insertion_deletion(model, images, ranks, steps=2).deletion
        tensor([[0.9526, 0.5000, 0.5000]], dtype=torch.float64)
    """
    shares = uniform_fractions(steps)
    logits_for = partial(
        logits_for_selections, model, images, ranks, sample_ids=sample_ids, batch_size=batch_size
    )
    removed = [PixelSelection(fraction=share) for share in shares]
    added = [PixelSelection(fraction=share, remove=False) for share in shares]
    deleted = expand_single_logit(logits_for(removed, delete_to or PixelReplacer()))
    inserted = expand_single_logit(logits_for(added, insert_into or PixelReplacer(fill="blur")))
    classes = resolve_classes(deleted[0], target)
    return InsertionDeletionCurves(
        torch.tensor(shares, dtype=torch.float64, device=images.device),
        gather_class(inserted.softmax(2), classes),
        gather_class(deleted.softmax(2), classes),
    )


def uniform_fractions(steps: int) -> list[float]:
    """Returns 0, 1/steps, …, 1.

    Raises:
        ValueError: Not an integer ≥ 1.
    """
    check_int("steps", steps, 1)
    return [step / steps for step in range(steps + 1)]
