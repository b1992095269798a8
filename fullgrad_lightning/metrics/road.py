"""ROAD over samples: does removing salient pixels hurt more than removing others?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.fills import Fill
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    ClassTarget,
    checked_batch_size,
    checked_fractions,
)
from fullgrad_lightning.metrics.functional.road import road

CURVES = ("most_probability", "least_probability", "most_correct", "least_correct")


class ROAD(Metric):
    """The mean curves of ``road`` over samples, and their differences.

    Rong et al., ICML 2022: remove and debias, ROAR's question without its retraining. Faithful
    saliency keeps the class when the least salient pixels are removed, and loses it with the most
    salient ones: larger differences are better, and 0 is what random saliency reaches.

    Args:
        fractions: F shares of the pixels, 0…1, in ascending order.
        fill: What is put in the place of removed pixels; ``noisy_linear`` is the paper's.
        mean, std: Of the normalisation, one value for each channel; ``None``: there was none.
        seed: Of the noise.
        batch_size: The most images that the network gets at once.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> metric = ROAD([0.4])
        >>> images, ranks = torch.tensor([[[[3.0, 0.0, 1.0]]]]), torch.tensor([[[0, 1, 2]]])
        >>> metric.update(torch.nn.Flatten(), images, ranks)
        >>> metric.compute()["accuracy"]
        tensor(1., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    count: Tensor

    def __init__(
        self,
        fractions: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
        *,
        fill: Fill = "noisy_linear",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.fractions = checked_fractions(fractions)
        self.replacement = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)
        self.batch_size = checked_batch_size(batch_size)
        zeros = torch.zeros(len(self.fractions), dtype=torch.float64)
        for name in CURVES:
            self.add_state(name, zeros, dist_reduce_fx="sum")
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
        """Adds samples; arguments and errors as of ``PixelPerturbation.update``.

        With labels as ``target``, "correct" means them; with ``None``, the clean image's top class.
        """
        curves = road(
            model, images, ranks, self.fractions,
            replacement=self.replacement, target=target, sample_ids=sample_ids,
            batch_size=self.batch_size,
        )  # fmt: skip
        for name in CURVES:
            before = getattr(self, name)
            setattr(self, name, before + getattr(curves, name).to(before).sum(0))
        self.count = self.count + len(curves.most_correct)

    def compute(self) -> dict[str, Tensor]:
        """The curves over all samples of all processes.

        Returns:
            ``fractions`` (F,); ``most_probability`` and ``least_probability`` (F,), mean
            probabilities of the class with the most and the least salient pixels removed;
            ``most_correct`` and ``least_correct`` (F,), how often it is the top class;
            ``probability`` and ``accuracy`` (), in −1…1, the means over the fractions of the
            differences, least − most; ``count`` (). All float64 but the count; NaN without a
            sample. (Of a single fraction, torchmetrics makes scalars.)
        """
        found = {name: getattr(self, name) / self.count for name in CURVES}
        return {
            "fractions": torch.tensor(
                self.fractions, dtype=torch.float64, device=self.count.device
            ),
            **found,
            "probability": (found["least_probability"] - found["most_probability"]).mean(),
            "accuracy": (found["least_correct"] - found["most_correct"]).mean(),
            "count": self.count,
        }
