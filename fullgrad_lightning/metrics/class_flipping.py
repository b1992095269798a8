"""Class flipping over samples: the change of log-odds when evidence for a class is removed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import Fill
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.base import PerturbationMetric
from fullgrad_lightning.metrics.functional.class_flipping import class_flipping
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget


class ClassFlipping(PerturbationMetric):
    """``class_flipping`` over samples: mean and standard deviation of the change of log-odds.

    Digit flipping (Shrikumar et al. 2017, §4.1; Srinivas & Fleuret 2019, §6): pixels that favour
    class a over class b are removed, the strongest first, and the log-odds of a against b fall. A
    larger fall is better.

    Black is 0 in the image *before* normalisation. Pass the ``mean`` and ``std`` of the
    normalisation; otherwise 0 in the network's input, the mean colour, is taken for black.

    Args:
        fractions: F shares of the pixels, 0…1, in ascending order: the maximum that is removed.
            Shrikumar et al. stop at 0.2.
        fill, mean, std, seed, batch_size: See ``PixelPerturbation``.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> import torch
        >>> metric = ClassFlipping([0.4])
        >>> images = evidence = torch.tensor([[[[3.0, 1.0, 0.0]]]])
        >>> metric.update(torch.nn.Flatten(), images, evidence, original=0, target=1)
        >>> metric.compute()["mean"], metric.compute()["flipped"]
        (tensor(3., dtype=torch.float64), tensor(1., dtype=torch.float64))
    """

    higher_is_better = True

    total: Tensor
    squares: Tensor

    def __init__(
        self,
        fractions: Sequence[float] = (0.05, 0.1, 0.2),
        *,
        fill: Fill = "black",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        batch_size: int = 64,
    ) -> None:
        super().__init__(fractions, ("total", "squares", "flips", "shares"), batch_size=batch_size)
        self.replacement = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)

    def update(
        self,
        model: Model,
        images: Tensor,
        evidence: Tensor,
        *,
        original: ClassTarget,
        target: int | Tensor,
        sample_ids: Tensor | Sequence[int] | None = None,
    ) -> None:
        """Adds samples.

        Args:
            model: Returns logits (N, K); it runs in eval mode, and its state is restored exactly.
            images: (N, C, H, W) as the network gets them.
            evidence: (N, 1, H, W) or (N, H, W), for a and against b: the map of a method for a
                minus that for b.
            original: The class a: an index, indices (N,), or ``None``: the top class of each clean
                image.
            target: The class b: an index, or indices (N,).
            sample_ids: (N,) integers, which break ties between pixels and seed the noise; ``None``:
                the same for all.

        Raises:
            TypeError, ValueError: As ``class_flipping``.
        """
        flip = class_flipping(
            model, images, evidence, self.fractions,
            original=original, target=target, replacement=self.replacement, sample_ids=sample_ids,
            batch_size=self.batch_size,
        )  # fmt: skip
        change = flip.change.to(self.total)
        self._add(total=change, squares=change.square(), flips=flip.flipped, shares=flip.removed)

    def compute(self) -> dict[str, Tensor]:
        """Returns the curve over all samples of all processes.

        Returns:
            ``fractions`` (F,); ``mean`` (F,) of the changes of log-odds in nats; ``std`` (F,) of
            the samples (n − 1), NaN with fewer than two; ``flipped`` (F,) in 0…1, how often b has
            the larger logit after the removal; ``removed`` (F,), the mean share of the pixels that
            is removed, at most the fraction; ``count`` (). All float64 but the count; NaN without a
            sample. (For a single fraction, torchmetrics returns scalars.)
        """
        mean, std = self._mean_and_std(self.total, self.squares)
        return {
            "fractions": self._fractions_tensor(),
            "mean": mean,
            "std": std,
            "flipped": self._mean("flips"),
            "removed": self._mean("shares"),
            "count": self.count,
        }
