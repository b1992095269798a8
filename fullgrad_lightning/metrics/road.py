"""ROAD over samples: does removing salient pixels hurt more than removing others?"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import Fill
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.base import RankedPerturbationMetric
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget
from fullgrad_lightning.metrics.functional.road import ROADCurves, road


class ROAD(RankedPerturbationMetric):
    """The mean curves of ``road`` over samples, and their differences.

    Rong et al., ICML 2022: remove and debias, ROAR without retraining. Faithful saliency keeps the
    class when the least salient pixels are removed, and loses it with the most salient ones: larger
    differences are better, and random saliency reaches 0. With labels as ``target``, "correct"
    refers to them; with ``None``, to the clean image's top class.

    Args:
        fractions: F shares of the pixels, 0…1, in ascending order.
        fill: Name of the fill that replaces removed pixels; ``noisy_linear`` is the paper's.
        mean, std, seed, batch_size: See ``PixelPerturbation``.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> import torch
        >>> metric = ROAD([0.4])
        >>> images, ranks = torch.tensor([[[[3.0, 0.0, 1.0]]]]), torch.tensor([[[0, 1, 2]]])
        >>> metric.update(torch.nn.Flatten(), images, ranks)
        >>> metric.compute()["accuracy"]
        tensor(1., dtype=torch.float64)
    """

    higher_is_better = True

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
        super().__init__(fractions, ROADCurves._fields, batch_size=batch_size)
        self.replacement = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)

    @property
    def curve_sizes(self) -> dict[str, int]:
        """All curves of ``ROADCurves`` have F values."""
        return dict.fromkeys(ROADCurves._fields, len(self.fractions))

    def curves(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget = None,
        sample_ids: Tensor | Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """Computes the ``ROADCurves`` (N, F) of each sample by name."""
        curves = road(
            model, images, ranks, self.fractions,
            replacement=self.replacement, target=target, sample_ids=sample_ids,
            batch_size=self.batch_size,
        )  # fmt: skip
        return curves._asdict()

    def compute(self) -> dict[str, Tensor]:
        """Returns the curves over all samples of all processes.

        Returns:
            ``fractions`` (F,); ``most_probability`` and ``least_probability`` (F,), mean
            probabilities of the class with the most and the least salient pixels removed;
            ``most_correct`` and ``least_correct`` (F,), how often it is the top class;
            ``probability`` and ``accuracy`` (), in −1…1, the means over the fractions of the
            differences, least − most; ``count`` (). All float64 but the count; NaN without a
            sample. (For a single fraction, torchmetrics returns scalars.)
        """
        means = {name: self._mean(name) for name in ROADCurves._fields}
        return {
            "fractions": self._fractions_tensor(),
            **means,
            "probability": (means["least_probability"] - means["most_probability"]).mean(),
            "accuracy": (means["least_correct"] - means["most_correct"]).mean(),
            "count": self.count,
        }
