"""The three scores, sample by sample: what is computed of a batch of images and their ranks.

Shapes: N images, (H, W) their size; F fractions or steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model
from fullgrad_lightning.masking.options import Fill, Order
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.functional.insertion_deletion import (
    insertion_deletion,
    uniform_fractions,
)
from fullgrad_lightning.metrics.functional.perturbed_logits import ClassTarget, check_fractions
from fullgrad_lightning.metrics.functional.pixel_perturbation import pixel_perturbation
from fullgrad_lightning.metrics.functional.road import road

ORDERS: tuple[Order, Order] = ("least_salient", "most_salient")


@dataclass(frozen=True, kw_only=True)
class Score(ABC):
    """Curves of each sample.

    Args:
        mean, std: Of the images' normalisation, one value for each channel; ``None``: none.
        seed: Of noise.
    """

    name: ClassVar[str]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0

    @property
    @abstractmethod
    def levels(self) -> tuple[float, ...]:
        """The F shares of the pixels at which curves are known."""

    @property
    @abstractmethod
    def columns(self) -> dict[str, int]:
        """Names of the curves, and how many numbers each has."""

    @abstractmethod
    def __call__(
        self,
        model: Model,
        images: Tensor,
        ranks: Tensor,
        *,
        target: ClassTarget,
        sample_ids: Tensor,
    ) -> dict[str, Tensor]:
        """The curves, (N, their number), named as ``columns``; arguments as of the metrics."""

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation by channel; ``None``: there was none."""
        return None if self.mean is None or self.std is None else (self.mean, self.std)

    @property
    def made_from(self) -> dict[str, Any]:
        """All that determines the numbers, images, ranks and network apart."""
        return {"score": self.name, **asdict(self)}

    def _replacement(self, fill: Fill) -> PixelReplacer:
        return PixelReplacer(fill=fill, mean=self.mean, std=self.std, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class PerturbationScore(Score):
    """Relative changes of the output, least and most salient pixels first (§5.1)."""

    name = "perturbation"
    fractions: tuple[float, ...]
    fill: Fill = "black"

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        self._replacement(self.fill)

    @property
    def levels(self) -> tuple[float, ...]:
        return self.fractions

    @property
    def columns(self) -> dict[str, int]:
        return {"output": 1, **dict.fromkeys(ORDERS, len(self.fractions))}

    def __call__(
        self, model: Model, images: Tensor, ranks: Tensor, *, target: ClassTarget,
        sample_ids: Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        perturbed = partial(
            pixel_perturbation, model, images, ranks, self.fractions,
            replacement=self._replacement(self.fill), target=target, sample_ids=sample_ids,
        )  # fmt: skip
        found = {order: perturbed(order=order) for order in ORDERS}
        changes: dict[str, Tensor] = {order: one.change for order, one in found.items()}
        return {"output": found[ORDERS[0]].output[:, None], **changes}


@dataclass(frozen=True, kw_only=True)
class InsertionDeletionScore(Score):
    """Probabilities of the class while pixels are added to a blur, or removed to black."""

    name = "insertion_deletion"
    steps: int = 50

    def __post_init__(self) -> None:
        uniform_fractions(self.steps)

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(uniform_fractions(self.steps))

    @property
    def columns(self) -> dict[str, int]:
        return dict.fromkeys(("insertion", "deletion"), self.steps + 1)

    def __call__(
        self, model: Model, images: Tensor, ranks: Tensor, *, target: ClassTarget,
        sample_ids: Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        curves = insertion_deletion(
            model, images, ranks, steps=self.steps, insert_into=self._replacement("blur"),
            delete_to=self._replacement("black"), target=target, sample_ids=sample_ids,
        )  # fmt: skip
        return {"insertion": curves.insertion, "deletion": curves.deletion}


@dataclass(frozen=True, kw_only=True)
class ROADScore(Score):
    """What is left of the class after noisy linear imputation, from either end."""

    name = "road"
    fractions: tuple[float, ...]
    curves: ClassVar[Sequence[str]] = (
        "most_probability", "least_probability", "most_correct", "least_correct"
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_fractions(self.fractions)

    @property
    def levels(self) -> tuple[float, ...]:
        return self.fractions

    @property
    def columns(self) -> dict[str, int]:
        return dict.fromkeys(self.curves, len(self.fractions))

    def __call__(
        self, model: Model, images: Tensor, ranks: Tensor, *, target: ClassTarget,
        sample_ids: Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        found = road(
            model, images, ranks, self.fractions, replacement=self._replacement("noisy_linear"),
            target=target, sample_ids=sample_ids,
        )  # fmt: skip
        return {name: getattr(found, name).double() for name in self.curves}


SCORES: dict[str, type[Score]] = {
    kind.name: kind for kind in (PerturbationScore, InsertionDeletionScore, ROADScore)
}


def make_score(
    name: str,
    options: Mapping[str, Any],
    normalization: tuple[Sequence[float], Sequence[float]] | None,
) -> Score:
    """A score by name.

    Args:
        name: One of ``SCORES``.
        options: Its own; lists become tuples.
        normalization: Mean and standard deviation by channel; ``None``: images were not normalised.

    Raises:
        ValueError: An option out of range.
    """
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    if normalization is not None:
        plain["mean"], plain["std"] = map(tuple, normalization)
    return SCORES[name](**plain)


def joined(curves: Mapping[str, Tensor], score: Score) -> Tensor:
    """The curves of N samples side by side, (N, all numbers), float64."""
    return torch.cat([curves[name].double() for name in score.columns], 1)
