"""Configuration of ``fullgrad perturb``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fullgrad_lightning.evaluation.config import EvaluationConfig, config_errors
from fullgrad_lightning.masking.options import Fill
from fullgrad_lightning.utilities.normalization import Normalization

if TYPE_CHECKING:
    from fullgrad_lightning.evaluation.perturbation.scores import Score

SCORES = ("perturbation", "insertion_deletion", "road")


@dataclass(frozen=True, kw_only=True)
class PerturbationConfig(EvaluationConfig):
    """Evaluates saliency methods by replacing pixels, without retraining.

    Args:
        methods, split, samples, checkpoint, target, seed: See ``EvaluationConfig``.
        output: Folder of all files; results in it are not computed again.
        scores: ``"perturbation"`` (§5.1, Figure 2a), ``"insertion_deletion"``, ``"road"``.
        fractions: Shares of the pixels in pixel perturbation, in ascending order.
        fill: The replacement of pixels in pixel perturbation.
        steps: Number of steps of insertion and deletion, from no pixel to all.
        road_fractions: Shares of the pixels in ROAD, in ascending order.
        mean, std: The images' normalisation, so that black is 0 before it; ``None``: that of the
            data module, or of its one ``Normalize``.

    Raises:
        ConfigError: A value that does not exist or is out of range.

    Examples:
        >>> config = PerturbationConfig(methods=["fullgrad", "random"], fractions=[0.1, 0.5])
        >>> config.make_scores(None)[0].columns
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
        with config_errors():
            is_subset = set(self.scores) <= set(SCORES)
            if not self.scores or not is_subset or len(set(self.scores)) < len(self.scores):
                raise ValueError(
                    f"scores must be some of {', '.join(SCORES)}, each once, got {self.scores}."
                )
        # The fill "mean" may take its mean from the data, which is not known yet.
        self.make_scores(Normalization((0.0,), (1.0,)))

    def make_scores(self, normalization: Normalization | None) -> list[Score]:
        """Makes the scores, with the data's normalisation where the configuration has none.

        Raises:
            ConfigError: An option out of range.
        """
        from fullgrad_lightning.evaluation.perturbation.scores import make_score  # imports torch

        options: dict[str, dict[str, object]] = {
            "perturbation": {"fractions": self.fractions, "fill": self.fill, "seed": self.seed},
            "insertion_deletion": {"steps": self.steps, "seed": self.seed},
            "road": {"fractions": self.road_fractions, "seed": self.seed},
        }
        with config_errors():
            normalization = Normalization.of(self.mean, self.std) or normalization
            return [make_score(name, options[name], normalization) for name in self.scores]
