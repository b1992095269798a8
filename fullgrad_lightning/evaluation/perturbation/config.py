"""What ``fullgrad perturb`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fullgrad_lightning.evaluation.config import ConfigError, EvaluationConfig
from fullgrad_lightning.masking.options import Fill
from fullgrad_lightning.utilities.normalization import Normalization

if TYPE_CHECKING:
    from fullgrad_lightning.evaluation.perturbation.scores import Score

SCORES = ("perturbation", "insertion_deletion", "road")


@dataclass(frozen=True, kw_only=True)
class PerturbationConfig(EvaluationConfig):
    """Judges saliency methods by replacing pixels, without retraining.

    Args:
        methods, split, samples, checkpoint, target, seed: See ``EvaluationConfig``.
        output: Folder of everything; what is done in it is not done again.
        scores: ``"perturbation"`` (§5.1, Figure 2a), ``"insertion_deletion"``, ``"road"``.
        fractions: Of pixel perturbation, shares of the pixels in ascending order.
        fill: What takes a pixel's place in pixel perturbation.
        steps: Of insertion and deletion, from no pixel to all.
        road_fractions: Of ROAD.
        mean, std: Of the images' normalisation, so that black is 0 before it; ``None``: those of
            the data module, or of its one ``Normalize``.

    Raises:
        ConfigError: Anything that does not exist or is out of range.

    Examples:
        >>> benchmark = PerturbationConfig(methods=["fullgrad", "random"], fractions=[0.1, 0.5])
        >>> benchmark.made_scores(None)[0].columns
        {'output': 1, 'least_salient': 2, 'most_salient': 2}
    """

    output: str = "runs/perturb"
    scores: list[str] = field(default_factory=lambda: ["perturbation"])
    fractions: list[float] = field(default_factory=lambda: [0.01, 0.03, 0.05, 0.07, 0.1])
    fill: Fill = "black"
    steps: int = 50
    road_fractions: list[float] = field(default_factory=lambda: [0.1, 0.3, 0.5, 0.7, 0.9])
    mean: list[float] | None = None
    std: list[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.scores) - set(SCORES))
        if unknown or not self.scores or len(set(self.scores)) < len(self.scores):
            raise ConfigError(
                f"scores must be some of {', '.join(SCORES)}, each once, got {self.scores}."
            )
        # The fill "mean" may get its mean from the data, which is not known yet.
        self.made_scores(Normalization((0.0,), (1.0,)))

    def made_scores(self, normalization: Normalization | None) -> list[Score]:
        """The scores.

        Args:
            normalization: Normalisation of the data, used if the benchmark has none.

        Raises:
            ConfigError: An option out of range.
        """
        from fullgrad_lightning.evaluation.perturbation.scores import make_score  # imports torch

        try:
            normalization = Normalization.of(self.mean, self.std) or normalization
            return [make_score(name, self._options(name), normalization) for name in self.scores]
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from error

    def _options(self, name: str) -> dict[str, object]:
        options: dict[str, dict[str, object]] = {
            "perturbation": {"fractions": self.fractions, "fill": self.fill, "seed": self.seed},
            "insertion_deletion": {"steps": self.steps, "seed": self.seed},
            "road": {"fractions": self.road_fractions, "seed": self.seed},
        }
        return options[name]
