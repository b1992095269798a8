"""How soon the network knows the class, and how soon it forgets, as pixels come and go."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.fills import Fill
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.functional.insertion_deletion import insertion_deletion, shares_of
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget, checked_batch_size


class InsertionDeletion(Metric):
    """The mean curves of ``insertion_deletion`` over samples, and the areas under them.

    Petsiuk et al., "RISE", BMVC 2018. A larger area under insertion is better, a smaller one under
    deletion.

    Args:
        steps: Equal steps from no pixel to all: the network sees each image 2·(steps + 1) times.
        insertion_fill: The baseline that pixels are added to.
        deletion_fill: What is put in the place of pixels that are removed.
        mean, std: Of the normalisation, one value for each channel, so that black is 0 before it;
            ``None``: there was none.
        seed: Of the noise of ``noisy_linear``.
        batch_size: The most images that the network gets at once.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> metric = InsertionDeletion(steps=2, insertion_fill="black")
        >>> images, ranks = torch.tensor([[[[9.0, 0.0]]]]), torch.tensor([[[0, 1]]])
        >>> metric.update(torch.nn.Flatten(), images, ranks)
        >>> metric.compute()["insertion_auc"], metric.compute()["deletion_auc"]
        (tensor(0.8749, dtype=torch.float64), tensor(0.6250, dtype=torch.float64))
    """

    is_differentiable = False
    full_state_update = False

    insertion: Tensor
    deletion: Tensor
    count: Tensor

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
        super().__init__()
        self.fractions = shares_of(steps)
        self.insert_into = PixelReplacer(fill=insertion_fill, mean=mean, std=std, seed=seed)
        self.delete_to = PixelReplacer(fill=deletion_fill, mean=mean, std=std, seed=seed)
        self.batch_size = checked_batch_size(batch_size)
        zeros = torch.zeros(steps + 1, dtype=torch.float64)
        self.add_state("insertion", zeros, dist_reduce_fx="sum")
        self.add_state("deletion", zeros, dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget = None,
        sample_ids: Tensor | Sequence[int] | None = None,
    ) -> None:
        """Adds samples; arguments and errors as of ``PixelPerturbation.update``."""
        curves = insertion_deletion(
            model, images, ranks,
            steps=len(self.fractions) - 1, insert_into=self.insert_into, delete_to=self.delete_to,
            target=target, sample_ids=sample_ids, batch_size=self.batch_size,
        )  # fmt: skip
        self.insertion = self.insertion + curves.insertion.to(self.insertion).sum(0)
        self.deletion = self.deletion + curves.deletion.to(self.deletion).sum(0)
        self.count = self.count + len(curves.insertion)

    def compute(self) -> dict[str, Tensor]:
        """The curves over all samples of all processes.

        Returns:
            ``fractions`` (S,), 0…1; ``insertion`` and ``deletion`` (S,), mean probabilities of the
            class; ``insertion_auc`` and ``deletion_auc`` (), by trapezoids; ``count`` (). All
            float64 but the count; NaN without a sample.
        """
        fractions = torch.tensor(self.fractions, dtype=torch.float64, device=self.count.device)
        insertion, deletion = self.insertion / self.count, self.deletion / self.count
        return {
            "fractions": fractions,
            "insertion": insertion,
            "deletion": deletion,
            "insertion_auc": torch.trapezoid(insertion, fractions),
            "deletion_auc": torch.trapezoid(deletion, fractions),
            "count": self.count,
        }
