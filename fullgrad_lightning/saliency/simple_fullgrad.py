"""SimpleFullGrad: gradients of the features in place of bias-gradients."""

from __future__ import annotations

from dataclasses import dataclass

from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.map_accumulator import MapAccumulator, Sites
from fullgrad_lightning.saliency.postprocess import Postprocess
from fullgrad_lightning.saliency.registry import register_saliency_method


@register_saliency_method("simple_fullgrad")
@dataclass(frozen=True)
class SimpleFullGrad(FullGrad):
    """FullGrad with the gradients of intermediate features instead of bias-gradients.

    ψ(∇ₓf ⊙ x) + Σ_l Σ_c ψ(∂f/∂y_{l,c}) over the outputs y of the convolutions that have a bias and
    of the batch norms, as released by the authors of FullGrad. Under ``postprocess="paper"`` it
    would be FullGrad itself: a bias that is constant on its channel cancels.

    Args:
        postprocess: As in ``FullGrad``; the released code uses ``"idiap"``.
        sites: ``"bias"``; other sites have no features.
        interpolation, multiply_by_input, placement: As in ``FullGrad``.
    """

    postprocess: str | Postprocess = "idiap"
    sites: Sites | None = "bias"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolved_sites != "bias":
            raise ValueError(
                "SimpleFullGrad is defined on the outputs of convolutions and batch norms: "
                f"sites must be 'bias', got {self.sites!r}. Use FullGrad for all sites."
            )

    def make_accumulator(self, n: int) -> MapAccumulator:
        return MapAccumulator(n, self.psi, "bias", self.placement, use_bias=False)
