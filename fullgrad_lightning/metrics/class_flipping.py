"""How far the removal of its evidence turns one class into another, over samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.fills import Fill
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.base import mean_and_std
from fullgrad_lightning.metrics.functional.class_flipping import class_flipping
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    ClassTarget,
    checked_batch_size,
    checked_fractions,
)


class ClassFlipping(Metric):
    """``class_flipping`` over samples: mean and standard deviation of the change of log-odds.

    Digit flipping (Shrikumar et al. 2017, §4.1; Srinivas & Fleuret 2019, §6): pixels that speak for
    class a and against class b are removed, the strongest first, and the log-odds of a against b
    fall. The further, the better.

    Black is 0 in the image *before* normalisation. Give the ``mean`` and ``std`` of the
    normalisation, or 0 as the network gets it, the mean colour, is taken for black.

    Args:
        fractions: F shares of the pixels, 0…1, in ascending order: the most that are removed.
            Shrikumar et al. stop at 0.2.
        fill: What is put in their place.
        mean, std: Of the normalisation, one value for each channel; ``None``: there was none.
        seed: Of the noise of ``fill="noisy_linear"``.
        batch_size: The most images that the network gets at once.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> metric = ClassFlipping([0.4])
        >>> images = evidence = torch.tensor([[[[3.0, 1.0, 0.0]]]])
        >>> metric.update(torch.nn.Flatten(), images, evidence, original=0, target=1)
        >>> metric.compute()["mean"], metric.compute()["flipped"]
        (tensor(3., dtype=torch.float64), tensor(1., dtype=torch.float64))
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    total: Tensor
    squares: Tensor
    flips: Tensor
    shares: Tensor
    count: Tensor

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
        super().__init__()
        self.fractions = checked_fractions(fractions)
        self.replacement = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)
        self.batch_size = checked_batch_size(batch_size)
        zeros = torch.zeros(len(self.fractions), dtype=torch.float64)
        for name in ("total", "squares", "flips", "shares"):
            self.add_state(name, zeros, dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

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
            model: Returns logits (N, K); it runs in eval mode and is left exactly as it was.
            images: (N, C, H, W) as the network gets them.
            evidence: (N, 1, H, W) or (N, H, W), for a and against b: the map of a method for a
                minus that for b.
            original: a, an index, indices (N,), or ``None``: the top class of each clean image.
            target: b, an index, or indices (N,).
            sample_ids: (N,) integers, which decide among pixels that tie, and the noise; ``None``:
                the same for all.

        Raises:
            TypeError, ValueError: As ``class_flipping``.
        """
        found = class_flipping(
            model, images, evidence, self.fractions,
            original=original, target=target, replacement=self.replacement, sample_ids=sample_ids,
            batch_size=self.batch_size,
        )  # fmt: skip
        change = found.change.to(self.total)
        self.total = self.total + change.sum(0)
        self.squares = self.squares + change.square().sum(0)
        self.flips = self.flips + found.flipped.to(self.flips).sum(0)
        self.shares = self.shares + found.removed.to(self.shares).sum(0)
        self.count = self.count + len(change)

    def compute(self) -> dict[str, Tensor]:
        """The curve over all samples of all processes.

        Returns:
            ``fractions`` (F,); ``mean`` (F,) of the changes of log-odds in nats; ``std`` (F,) of
            the samples (n − 1), NaN with less than two; ``flipped`` (F,) in 0…1, how often b has
            more than a then; ``removed`` (F,), the mean share of the pixels that were removed, at
            most the fraction; ``count`` (). All float64 but the count; NaN without a sample. (Of a
            single fraction, torchmetrics makes scalars.)
        """
        mean, std = mean_and_std(self.total, self.squares, self.count)
        return {
            "fractions": torch.tensor(self.fractions, dtype=torch.float64, device=mean.device),
            "mean": mean,
            "std": std,
            "flipped": self.flips / self.count,
            "removed": self.shares / self.count,
            "count": self.count,
        }
