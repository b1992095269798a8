"""Results of the randomisation test: similarity to the original maps at each stage."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from torch import Tensor

from fullgrad_lightning.evaluation.reports.statistics import Estimate, estimate

ORIGINAL, NETWORK = "original", "(network)"


@dataclass(frozen=True)
class SanityCurves:
    """Similarities of maps to those of the original network.

    S stages, the original network first; N samples; P ≤ N samples whose maps are kept.

    Attributes:
        layers: The names of all layers of the network, the one next to the output first.
        depths: The number of layers that are re-initialised at each stage, S numbers, 0 first.
        similarity: Key of ``similarities`` -> name of the method -> (S, N), float64, on the CPU.
        maps: Name of the method -> (S, P, 1, H, W), on the CPU.
    """

    layers: tuple[str, ...]
    depths: tuple[int, ...]
    similarity: dict[str, dict[str, Tensor]]
    maps: dict[str, Tensor]

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods, in their original order."""
        return tuple(self.maps)

    @property
    def num_samples(self) -> int:
        """N."""
        return len(next(iter(self.similarity["spearman"].values()))[0])

    @property
    def headings(self) -> tuple[str, ...]:
        """Names of the stages: the last layer that was re-initialised, next to the input.

        The common beginning of the names of all layers, such as the ``network.`` of an
        ``ImageClassifier``, is left out.
        """
        paths = [name.split(".") for name in self.layers]
        parents = zip(*(path[:-1] for path in paths), strict=False)
        shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, parents))
        deepest = [".".join(paths[depth - 1][shared:]) for depth in self.depths[1:]]
        return (ORIGINAL, *(name or NETWORK for name in deepest))

    @property
    def measures(self) -> tuple[str, ...]:
        """The keys of ``similarity`` that hold information: see ``methods_of``."""
        return tuple(measure for measure in self.similarity if self.methods_of(measure))

    def methods_of(self, measure: str) -> tuple[str, ...]:
        """Returns the methods of which a measure holds information.

        These are all methods, except that ``spearman_abs`` equals ``spearman`` for methods whose
        maps have no negative values.
        """
        if measure != "spearman_abs":
            return self.methods
        signed, unsigned = self.similarity["spearman"], self.similarity["spearman_abs"]
        return tuple(name for name in self.methods if not signed[name].equal(unsigned[name]))

    def estimates(self, measure: str, method: str) -> list[Estimate]:
        """Returns the mean over samples at each stage, with its 95 % interval."""
        estimates = [estimate(stage.tolist()) for stage in self.similarity[measure][method]]
        return [each for each in estimates if each is not None]
