"""What a check of saliency methods found: how alike maps stay as the network forgets."""

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
        layers: All layers of the network, the one next to the output first.
        depths: How many of them are re-initialised at each stage, S numbers, 0 first.
        similarity: By key of ``similarities`` and name of the method: (S, N), float64, on the CPU.
        maps: By name of the method: (S, P, 1, H, W), on the CPU.
    """

    layers: tuple[str, ...]
    depths: tuple[int, ...]
    similarity: dict[str, dict[str, Tensor]]
    maps: dict[str, Tensor]

    @property
    def methods(self) -> tuple[str, ...]:
        """Their names, in the order in which they were given."""
        return tuple(self.maps)

    @property
    def headings(self) -> tuple[str, ...]:
        """Names of the stages: of the last layer that was re-initialised, next to the input.

        What the names of all layers begin with, such as the ``network.`` of an
        ``ImageClassifier``, is left out.
        """
        paths = [name.split(".") for name in self.layers]
        parents = zip(*(path[:-1] for path in paths), strict=False)
        shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, parents))
        deepest = [".".join(paths[depth - 1][shared:]) for depth in self.depths[1:]]
        return (ORIGINAL, *(name or NETWORK for name in deepest))

    @property
    def measures(self) -> tuple[str, ...]:
        """The keys of ``similarity`` that tell something: see ``methods_of``."""
        return tuple(measure for measure in self.similarity if self.methods_of(measure))

    def methods_of(self, measure: str) -> tuple[str, ...]:
        """The methods that a measure tells something of.

        All, but of ``spearman_abs`` those alone whose maps have negative values: for the others it
        is ``spearman``.
        """
        if measure != "spearman_abs":
            return self.methods
        signed, unsigned = self.similarity["spearman"], self.similarity["spearman_abs"]
        return tuple(name for name in self.methods if not signed[name].equal(unsigned[name]))

    def estimates(self, measure: str, method: str) -> list[Estimate]:
        """The mean over samples at each stage, with its 95 % interval."""
        found = [estimate(stage.tolist()) for stage in self.similarity[measure][method]]
        return [one for one in found if one is not None]
