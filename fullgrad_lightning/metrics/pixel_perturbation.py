"""Pixel perturbation over samples: the relative change of the output when pixels are replaced."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.metrics.base import RankedPerturbationMetric
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget
from fullgrad_lightning.metrics.functional.pixel_perturbation import pixel_perturbation


class PixelPerturbation(RankedPerturbationMetric):
    """``pixel_perturbation`` over samples: mean, standard deviation, and area under the curve.

    |f(x′) − f(x)| / |f(x)|, where f is the logit of the clean image's top class and x′ the image
    with a fraction of its pixels replaced (Srinivas & Fleuret 2019, §5.1). With the least salient
    pixels first, smaller is better; with the most salient first, larger. Samples with f(x) = 0 are
    left out.

    Black is 0 in the image *before* normalisation. Pass the ``mean`` and ``std`` of the
    normalisation; otherwise 0 in the network's input, the mean colour, is taken for black.

    Args:
        fractions: F shares of the pixels, 0…1, in ascending order.
        order: The pixels that are replaced first.
        fill: Name of the fill that replaces them, see ``masking.fills.fill_pixels``.
        mean, std: Normalisation of the images, one value for each channel; ``None``: they are not
            normalised.
        seed: Seed of the noise of ``fill="noisy_linear"``.
        batch_size: Maximum number of images in one call of the network.

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

    total: Tensor
    squares: Tensor

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
        super().__init__(fractions, ("total", "squares"), batch_size=batch_size)
        self.order = PixelSelection(order=order).order
        self.replacement = PixelReplacer(fill=fill, mean=mean, std=std, seed=seed)

    @property
    def curve_sizes(self) -> dict[str, int]:
        """``"output"``, f(x), has one value; the change, named by the order, F."""
        return {"output": 1, self.order: len(self.fractions)}

    def curves(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget = None,
        sample_ids: Tensor | Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """Computes f(x), (N, 1), and its relative changes (N, F), named by the order."""
        output, change = pixel_perturbation(
            model, images, ranks, self.fractions,
            order=self.order, replacement=self.replacement, target=target, sample_ids=sample_ids,
            batch_size=self.batch_size,
        )  # fmt: skip
        return {"output": output[:, None], self.order: change}

    def _add_curves(self, curves: dict[str, Tensor]) -> None:
        """Adds the relative changes of the samples that have one."""
        change = curves[self.order][curves["output"][:, 0] != 0].to(self.total)
        self._add(total=change, squares=change.square())

    def compute(self) -> dict[str, Tensor]:
        """Returns the curve over all samples of all processes.

        Returns:
            ``fractions`` (F,); ``mean`` (F,) of the relative changes, NaN without a sample; ``std``
            (F,) of the samples (n − 1), NaN with fewer than two; ``auc`` (), the area under the
            mean curve from fraction 0, where nothing changes, to the last one, by trapezoids and
            divided by the last fraction: a mean relative change; ``count`` (). All float64 but the
            count. (For a single fraction, torchmetrics returns scalars.)
        """
        fractions = self._fractions_tensor()
        mean, std = self._mean_and_std(self.total, self.squares)
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
        """Returns ``<prefix>/<fraction>`` and ``<prefix>/auc`` to log. A collective call."""
        results = self.compute()
        means = zip(self.fractions, results["mean"].reshape(-1), strict=True)
        return {
            **{f"{prefix}/{fraction:g}": value for fraction, value in means},
            f"{prefix}/auc": results["auc"],
        }
