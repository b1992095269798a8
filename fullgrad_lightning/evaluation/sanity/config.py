"""Configuration of ``fullgrad sanity``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from fullgrad_lightning.evaluation.config import EvaluationConfig, config_errors
from fullgrad_lightning.utilities.checks import check_int


@dataclass(frozen=True, kw_only=True)
class SanityConfig(EvaluationConfig):
    """Compares saliency maps before and after the network's layers are re-initialised.

    Args:
        methods, split, checkpoint, target: See ``EvaluationConfig``.
        samples: Number of images, evenly spread over the split; ``None``: all.
        seed: Seed of the new weights and of stochastic methods.
        output: Folder of the report, which is replaced each time.
        stages: Number of stages: the first re-initialises the last layer alone, the last one all;
            ``None``: one for each layer.
        pictures: Number of images whose maps are drawn.

    Raises:
        ConfigError: A value that does not exist or is out of range.

    Examples:
        >>> SanityConfig(methods=["fullgrad", "sobel"]).stages
        8
    """

    samples: int | None = 16
    output: str = "runs/sanity"
    stages: int | None = 8
    pictures: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        with config_errors():
            check_int("pictures", self.pictures, 1)
            if self.stages is not None:
                check_int("stages", self.stages, 1)
