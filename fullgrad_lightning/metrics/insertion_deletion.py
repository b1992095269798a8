"""Insertion and deletion over samples: the class's probability as pixels are added or removed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import Fill
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.base import RankedPerturbationMetric
from fullgrad_lightning.metrics.functional.insertion_deletion import (
    insertion_deletion,
    uniform_fractions,
)
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget


class InsertionDeletion(RankedPerturbationMetric):
    """The mean curves of ``insertion_deletion`` over samples, and the areas under them.

    Petsiuk et al., "RISE", BMVC 2018. A larger area under insertion is better, a smaller one under
    deletion.

    Args:
        steps: Number of equal steps from no pixel to all: the network gets each image
            2·(steps + 1) times.
        insertion_fill: Name of the fill that makes the baseline that pixels are added to.
        deletion_fill: Name of the fill that replaces removed pixels.
        mean, std, seed, batch_size: See ``PixelPerturbation``.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> metric = InsertionDeletion(steps=2, insertion_fill="black")
        >>> images, ranks = torch.tensor([[[[9.0, 0.0]]]]), torch.tensor([[[0, 1]]])
        >>> metric.update(torch.nn.Flatten(), images, ranks)
        >>> metric.compute()["insertion_auc"], metric.compute()["deletion_auc"]
        (tensor(0.8749, dtype=torch.float64), tensor(0.6250, dtype=torch.float64))
    """

    def __init__(
        self,
        steps: int = 50,
        *,
        insertion_fill: Fill = "blur",
        deletion_fill: Fill = "black",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        batch_size: int = 64,
    ) -> None:
        fractions = uniform_fractions(steps)
        super().__init__(fractions, ("insertion", "deletion"), batch_size=batch_size)
        self.insert_into = PixelReplacer(fill=insertion_fill, mean=mean, std=std, seed=seed)
        self.delete_to = PixelReplacer(fill=deletion_fill, mean=mean, std=std, seed=seed)

    @property
    def curve_sizes(self) -> dict[str, int]:
        """``"insertion"`` and ``"deletion"`` have S = steps + 1 values."""
        return dict.fromkeys(("insertion", "deletion"), len(self.fractions))

    def curves(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget = None,
        sample_ids: Tensor | Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """Computes the probabilities (N, S) under ``"insertion"`` and ``"deletion"``."""
        curves = insertion_deletion(
            model, images, ranks,
            steps=len(self.fractions) - 1, insert_into=self.insert_into, delete_to=self.delete_to,
            target=target, sample_ids=sample_ids, batch_size=self.batch_size,
        )  # fmt: skip
        return {"insertion": curves.insertion, "deletion": curves.deletion}

    def compute(self) -> dict[str, Tensor]:
        """Returns the curves over all samples of all processes.

        Returns:
            ``fractions`` (S,), 0…1; ``insertion`` and ``deletion`` (S,), mean probabilities of the
            class; ``insertion_auc`` and ``deletion_auc`` (), by trapezoids; ``count`` (). All
            float64 but the count; NaN without a sample.
        """
        fractions = self._fractions_tensor()
        insertion, deletion = self._mean("insertion"), self._mean("deletion")
        return {
            "fractions": fractions,
            "insertion": insertion,
            "deletion": deletion,
            "insertion_auc": torch.trapezoid(insertion, fractions),
            "deletion_auc": torch.trapezoid(deletion, fractions),
            "count": self.count,
        }
