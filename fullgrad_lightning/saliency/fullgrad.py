"""FullGrad: the saliency map of the full-gradient representation (equation 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.decomposition.bias_gradients import (
    stream_bias_gradients,
    whole_or_one_by_one,
)
from fullgrad_lightning.saliency.base import SaliencyMethod, map_dtype, validate_images
from fullgrad_lightning.saliency.coverage import coverage
from fullgrad_lightning.saliency.map_accumulator import (
    MapAccumulator,
    Placement,
    Sites,
)
from fullgrad_lightning.saliency.postprocess import RELEASED, Postprocess, get_postprocess
from fullgrad_lightning.saliency.registry import register_saliency_method
from fullgrad_lightning.utilities.checks import check_choice

Interpolation = Literal["bilinear", "bicubic"]


@register_saliency_method("fullgrad")
@dataclass(frozen=True)
class FullGrad(SaliencyMethod):
    """S_f(x) = ψ(∇ₓf ⊙ x) + Σ_l Σ_{c∈l} ψ(f^b_{l,c}) (Srinivas & Fleuret 2019, equation 2).

    One forward and one backward pass; each bias-gradient is reduced as it appears. A map is never
    complete (Proposition 1): how much of Σ|f^b| has a place on the image is told by ``coverage``.
    Rescaling by channel cancels the size of a bias that is constant on its channel.

    Args:
        postprocess: ψ. ``"paper"``: absolute value, each channel of each sample rescaled to [0, 1].
            ``"abs"``, ``"signed"``: not rescaled (ψ_mnist and ψ_m of §6). ``"positive"``,
            ``"negative"``: one part alone, rescaled. ``"idiap"``, ``"pytorch_grad_cam"``: as these
            packages do it. Or a callable (N, C, h, w) -> (N, 1, h, w), which may have an attribute
            ``align_corners``.
        sites: ``"all"``: every bias on the image, implicit ones too. ``"bias"``: those of
            convolutions and batch norms. Default: ``"all"``, but ``"bias"`` for the two presets
            that copy a released code.
        interpolation: ``"bilinear"`` or ``"bicubic"``.
        multiply_by_input: Whether the first term is ψ(∇ₓf ⊙ x), or ψ(∇ₓf) (§4.2).
        placement: ``(site, values) -> (N, C, h, w)`` or ``None``, where values lie on the image;
            default ``place_on_image``.

    Raises:
        TypeError, ValueError: An option that does not exist.

    Examples:
        >>> net = torch.nn.Sequential(
        ...     torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
        >>> FullGrad()(net, torch.rand(5, 3, 8, 8)).shape
        torch.Size([5, 1, 8, 8])
    """

    isolates_model: ClassVar[bool] = False  # each pass of the decomposition does

    postprocess: str | Postprocess = "paper"
    sites: Sites | None = None
    interpolation: Interpolation = "bilinear"
    multiply_by_input: bool = True
    placement: Placement | None = None

    def __post_init__(self) -> None:
        get_postprocess(self.postprocess)
        for name, allowed in (
            ("sites", (None, "all", "bias")),
            ("interpolation", ("bilinear", "bicubic")),
            ("multiply_by_input", (True, False)),
        ):
            check_choice(name, getattr(self, name), allowed)
        if self.placement is not None and not callable(self.placement):
            raise TypeError("placement must be a callable (site, values) -> (N, C, h, w) or None.")

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        return whole_or_one_by_one(self._maps, torch.cat, model, x, target)

    def coverage(self, model: Model, x: Tensor, target: Target = None) -> Tensor:
        """The share of Σ|f^b| that the map could place, (N,) float64 in 0…1.

        The sum runs over all biases of the network, element by element (what is only known as one
        number per sample counts with its size); 1 if there are none. Biases of fully connected
        layers, 1×1 maps and class tokens have no place, nor have the sites that ``sites`` leaves
        out.

        Raises:
            TypeError, ValueError: As ``full_gradients``.
        """
        model = validate_images(model, x, target)
        return coverage(model, x, target, self.sites_taken, self.placement)

    @property
    def psi(self) -> Postprocess:
        """ψ itself."""
        return get_postprocess(self.postprocess)

    @property
    def sites_taken(self) -> Sites:
        """Which sites are taken, the default resolved."""
        released = isinstance(self.postprocess, str) and self.postprocess in RELEASED
        return self.sites or ("bias" if released else "all")

    def accumulator(self, n: int) -> MapAccumulator:
        """The consumer that makes N maps."""
        return MapAccumulator(n, self.psi, self.sites_taken, self.placement)

    def _maps(self, model: Model, x: Tensor, target: Target) -> Tensor:
        consumer = self.accumulator(x.shape[0])
        done = stream_bias_gradients(model, x, target, consumer)
        gradient = done.input_gradient
        return self.finished(
            consumer, gradient * x.detach() if self.multiply_by_input else gradient
        )

    def finished(self, consumer: MapAccumulator, input_term: Tensor) -> Tensor:
        """The map of all that the consumer got and of the input term, (N, C, H, W)."""
        with torch.no_grad():
            consumer.add(input_term)
            height, width = input_term.shape[2:]
            saliency = consumer.saliency(height, width, self.interpolation)
        return saliency.to(map_dtype(input_term))
