"""Insertion and deletion: the class's probability while pixels come or go."""

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
    classes_of,
    logits_after,
    of_classes,
    two_classes,
)


@dataclass(frozen=True)
class InsertionDeletionCurves:
    """Probabilities of a class while pixels are added or removed, the most salient first.

    Attributes:
        fractions: (S,) float64, shares of the pixels that were added, or removed: 0, …, 1.
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
    """The probability of the class while pixels are added to a baseline, or removed.

    Petsiuk et al., "RISE", BMVC 2018, §4.2: the most salient pixels come first; insertion starts
    from a blurred image and deletion ends at a black one. The class is that of the clean image; of
    a network with a single logit, the side of it: 0 for a negative one, 1 for a positive one.

    Args:
        model: Returns logits (N, K); it runs in eval mode and is left exactly as it was.
        images: (N, C, H, W) as the network gets them.
        ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
        steps: S − 1, equal steps from no pixel to all.
        insert_into: The baseline of insertion; default: a blur.
        delete_to: That of deletion; default: black, in images that were not normalised.
        target: ``None`` (the top class of each clean image), a class index, or indices (N,).
        sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.
        batch_size: The most images that the network gets at once.

    Raises:
        TypeError, ValueError: An option out of range, or inputs that do not fit; see
            ``logits_after``.

    Examples:
        >>> model = torch.nn.Flatten()  # two pixels, two logits
        >>> images, ranks = torch.tensor([[[[3.0, 0.0]]]]), torch.tensor([[[0, 1]]])
        >>> insertion_deletion(model, images, ranks, steps=2).deletion
        tensor([[0.9526, 0.5000, 0.5000]], dtype=torch.float64)
    """
    shares = shares_of(steps)
    ask = partial(logits_after, model, images, ranks, sample_ids=sample_ids, batch_size=batch_size)
    removed = [PixelSelection(fraction=share) for share in shares]
    added = [PixelSelection(fraction=share, remove=False) for share in shares]
    deleted = two_classes(ask(removed, delete_to or PixelReplacer()))
    inserted = two_classes(ask(added, insert_into or PixelReplacer(fill="blur")))
    classes = classes_of(deleted[0], target)
    return InsertionDeletionCurves(
        torch.tensor(shares, dtype=torch.float64, device=images.device),
        of_classes(inserted.softmax(2), classes),
        of_classes(deleted.softmax(2), classes),
    )


def shares_of(steps: int) -> list[float]:
    """0, 1/steps, …, 1.

    Raises:
        ValueError: No integer ≥ 1.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be an integer ≥ 1, got {steps!r}.")
    return [step / steps for step in range(steps + 1)]
