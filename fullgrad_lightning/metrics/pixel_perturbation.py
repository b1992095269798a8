"""How much the output changes when pixels are replaced that saliency calls unimportant."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.fills import Fill
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import Order, PixelSelection
from fullgrad_lightning.metrics.base import mean_and_std
from fullgrad_lightning.metrics.functional.perturbed_logits import (
    ClassTarget,
    checked_batch_size,
    checked_fractions,
)
from fullgrad_lightning.metrics.functional.pixel_perturbation import pixel_perturbation


class PixelPerturbation(Metric):
    """``pixel_perturbation`` over samples: mean, standard deviation, and area under the curve.

    |f(x′) − f(x)| / |f(x)|, f being the logit of the clean image's top class and x′ the image with
    a fraction of its pixels replaced (Srinivas & Fleuret 2019, §5.1). With the least salient pixels
    first, smaller is better; with the most salient first, larger. Samples with f(x) = 0 are left
    out.

    Black is 0 in the image *before* normalisation. Give the ``mean`` and ``std`` of the
    normalisation, or 0 as the network gets it, the mean colour, is taken for black.

    Args:
        fractions: F shares of the pixels, 0…1, in ascending order.
        order: Which pixels are replaced first.
        fill: What is put in their place.
        mean, std: Of the normalisation, one value for each channel; ``None``: there was none.
        seed: Of the noise of ``fill="noisy_linear"``.
        batch_size: The most images that the network gets at once.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> from fullgrad_lightning.masking.ranking import rank_pixels
        >>> metric = PixelPerturbation([0.25, 0.5, 1.0])
        >>> model, images = torch.nn.Flatten(), torch.tensor([[[[4.0, 1.0], [2.0, 3.0]]]])
        >>> metric.update(model, images, rank_pixels(images, [0]))
        >>> {name: value.tolist() for name, value in metric.scalars().items()}
        {'perturbation/0.25': 0.0, 'perturbation/0.5': 0.0, 'perturbation/1': 1.0, \
'perturbation/auc': 0.25}
    """

    is_differentiable = False
    full_state_update = False

    total: Tensor
    squares: Tensor
    count: Tensor

    def __init__(
        self,
        fractions: Sequence[float] = (0.01, 0.03, 0.05, 0.07, 0.1),
        *,
        order: Order = "least_salient",
        fill: Fill = "black",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.fractions = checked_fractions(fractions)
        self.order = PixelSelection(order=order).order
        self.replacement = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)
        self.batch_size = checked_batch_size(batch_size)
        zeros = torch.zeros(len(self.fractions), dtype=torch.float64)
        self.add_state("total", zeros, dist_reduce_fx="sum")
        self.add_state("squares", zeros, dist_reduce_fx="sum")
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
        """Adds samples.

        Args:
            model: Returns logits (N, K); it runs in eval mode and is left exactly as it was.
            images: (N, C, H, W) as the network gets them.
            ranks: (N, H, W) integers, 0 = most salient, from ``rank_pixels``.
            target: ``None`` (the top class of each clean image), a class index, or indices (N,).
            sample_ids: (N,) integers, from which noise is drawn; ``None``: the same for all.

        Raises:
            TypeError, ValueError: Inputs that do not fit, or a model that does not return logits.
        """
        output, change = pixel_perturbation(
            model, images, ranks, self.fractions,
            order=self.order, replacement=self.replacement, target=target, sample_ids=sample_ids,
            batch_size=self.batch_size,
        )  # fmt: skip
        known = change[output != 0].to(self.total)
        self.total = self.total + known.sum(0)
        self.squares = self.squares + known.square().sum(0)
        self.count = self.count + len(known)

    def compute(self) -> dict[str, Tensor]:
        """The curve over all samples of all processes.

        Returns:
            ``fractions`` (F,); ``mean`` (F,) of the relative changes, NaN without a sample; ``std``
            (F,) of the samples (n − 1), NaN with less than two; ``auc`` (), the area under the mean
            curve from fraction 0, where nothing changes, to the last one, by trapezoids and
            divided by the last fraction: a mean relative change; ``count`` (). All float64 but the
            count. (Of a single fraction, torchmetrics makes scalars.)
        """
        fractions = torch.tensor(self.fractions, dtype=torch.float64, device=self.total.device)
        mean, std = mean_and_std(self.total, self.squares, self.count)
        zero = torch.zeros_like(mean[:1])
        area = torch.trapezoid(torch.cat([zero, mean]), torch.cat([zero, fractions]))
        return {
            "fractions": fractions,
            "mean": mean,
            "std": std,
            "auc": area / fractions[-1],
            "count": self.count,
        }

    def scalars(self, prefix: str = "perturbation") -> dict[str, Tensor]:
        """``<prefix>/<fraction>`` and ``<prefix>/auc``, for ``self.log_dict``. A collective."""
        found = self.compute()
        named = zip(self.fractions, found["mean"].reshape(-1), strict=True)
        return {
            **{f"{prefix}/{fraction:g}": value for fraction, value in named},
            f"{prefix}/auc": found["auc"],
        }
