"""FullGrad: the saliency map of the full-gradient representation (equation 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fullgrad_lightning.decomposition import AttributionBudget, Model, Target
from fullgrad_lightning.decomposition.attribution_budget import TermCollector, join_budgets
from fullgrad_lightning.decomposition.bias_gradients import (
    stream_bias_gradients,
    whole_or_one_by_one,
)
from fullgrad_lightning.decomposition.completeness import report_incompleteness
from fullgrad_lightning.decomposition.handlers import HandlerList
from fullgrad_lightning.saliency.base import SaliencyMethod, fix_target, map_dtype, validate_images
from fullgrad_lightning.saliency.coverage import CoverageHandler
from fullgrad_lightning.saliency.layer_maps import LayerMapHandler, join_layer_maps
from fullgrad_lightning.saliency.map_accumulator import MapAccumulator, Placement, Sites
from fullgrad_lightning.saliency.postprocess import RELEASED, Postprocess, get_postprocess
from fullgrad_lightning.saliency.registry import register_saliency_method
from fullgrad_lightning.utilities.checks import check_choice

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Explanation:
    """The results of one decomposition pass over N samples; ``None`` if not requested.

    Attributes:
        saliency: (N, 1, H, W), as ``FullGrad.__call__`` returns.
        coverage: (N,), as ``FullGrad.coverage`` returns.
        layer_maps: Site name -> (N, 1, h, w), as ``layer_maps`` returns.
        budget: As ``attribution_budget`` returns.
    """

    saliency: Tensor
    coverage: Tensor | None = None
    layer_maps: dict[str, Tensor] | None = None
    budget: AttributionBudget | None = None


@register_saliency_method("fullgrad")
@dataclass(frozen=True)
class FullGrad(SaliencyMethod):
    """S_f(x) = ψ(∇ₓf ⊙ x) + Σ_l Σ_{c∈l} ψ(f^b_{l,c}) (Srinivas & Fleuret 2019, equation 2).

    One forward and one backward pass; each bias-gradient is reduced as it appears. A map is never
    complete (Proposition 1): ``coverage`` returns how much of Σ|f^b| has a place on the image.
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
        placement: ``(site, values) -> (N, C, h, w)``, which places values on the image, or ``None``
            if they have no place; default ``place_on_image``.

    Raises:
        TypeError, ValueError: An option has a value that does not exist.

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
        check_choice("sites", self.sites, (None, "all", "bias"))
        check_choice("interpolation", self.interpolation, ("bilinear", "bicubic"))
        check_choice("multiply_by_input", self.multiply_by_input, (True, False))
        if self.placement is not None and not callable(self.placement):
            raise TypeError("placement must be a callable (site, values) -> (N, C, h, w) or None.")

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        return self._explain(model, x, target, sample_ids).saliency

    def coverage(self, model: Model, x: Tensor, target: Target = None) -> Tensor:
        """Returns the share of Σ|f^b| that the map could place, (N,) float64 in 0…1.

        The sum runs over all biases of the network, element by element (a bias known only as one
        number per sample counts with its size); 1 if there are none. Biases of fully connected
        layers, 1×1 maps and class tokens have no place, nor have sites that ``sites`` excludes.

        Raises:
            TypeError, ValueError: As ``full_gradients``.
        """
        model = validate_images(model, x, target)

        def shares(model: Model, x: Tensor, target: Target) -> Tensor:
            handler = CoverageHandler(self.resolved_sites, self.placement)
            stream_bias_gradients(model, x, target, handler)
            return handler.coverage(x)

        return whole_or_one_by_one(shares, torch.cat, model, x, target)

    def explain(
        self,
        model: Model,
        x: Tensor,
        target: Target = None,
        *,
        coverage: bool = False,
        layer_maps: str | Postprocess | None = None,
        budget: bool = False,
        sample_ids: Tensor | None = None,
        tolerance: float | None = None,
    ) -> Explanation:
        """Computes maps with their coverage, layer maps and attribution budget.

        One pass yields them all; ``SmoothFullGrad`` takes one more than for its maps.

        Args:
            model, x, target, sample_ids: As for the maps alone.
            coverage: Whether to compute what ``FullGrad.coverage`` returns.
            layer_maps: ψ of the layer maps, which are those of ``fullgrad_lightning.layer_maps``.
            budget: Whether to compute what ``attribution_budget`` returns.
            tolerance: As in ``attribution_budget``, which warns of an incomplete decomposition.

        Raises:
            TypeError, ValueError: As ``full_gradients``.

        Examples:
            >>> net = torch.nn.Sequential(
            ...     torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
            >>> explanation = FullGrad().explain(net, torch.rand(5, 3, 8, 8), layer_maps="signed")
            >>> explanation.saliency.shape, explanation.layer_maps["0"].shape
            (torch.Size([5, 1, 8, 8]), torch.Size([5, 1, 6, 6]))
        """
        model = validate_images(model, x, target)
        psi = None if layer_maps is None else get_postprocess(layer_maps)
        if self.fixes_target:
            target = fix_target(model, x, target)
        explanation = self._explain(model, x.detach(), target, sample_ids, coverage, psi, budget)
        if explanation.budget is not None:
            residual, dtype = explanation.budget.relative_residual, explanation.budget.output.dtype
            report_incompleteness(residual, dtype, model, x, target, tolerance)
        return explanation

    @property
    def psi(self) -> Postprocess:
        """ψ as a function."""
        return get_postprocess(self.postprocess)

    @property
    def resolved_sites(self) -> Sites:
        """The sites that the map takes, ``"all"`` or ``"bias"``."""
        released = isinstance(self.postprocess, str) and self.postprocess in RELEASED
        return self.sites or ("bias" if released else "all")

    def make_accumulator(self, n: int) -> MapAccumulator:
        """Builds the handler that makes N maps."""
        return MapAccumulator(n, self.psi, self.resolved_sites, self.placement)

    def input_term(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Returns the term of the input before ψ, shaped like x."""
        return gradient * x if self.multiply_by_input else gradient

    def finish_maps(self, accumulator: MapAccumulator, input_term: Tensor) -> Tensor:
        """Adds the term of the input, (N, C, H, W), and returns the maps, (N, 1, H, W)."""
        with torch.no_grad():
            accumulator.add(input_term)
            height, width = input_term.shape[2:]
            saliency = accumulator.saliency(height, width, self.interpolation)
        return saliency.to(map_dtype(input_term))

    def _explain(
        self,
        model: Model,
        x: Tensor,
        target: Target,
        sample_ids: Tensor | None,
        coverage: bool = False,
        layer_psi: Postprocess | None = None,
        budget: bool = False,
    ) -> Explanation:
        """Computes the requested parts of an explanation, of checked arguments; x is detached."""

        def explain_batch(model: Model, x: Tensor, target: Target) -> Explanation:
            maps = self.make_accumulator(x.shape[0])
            shares = CoverageHandler(self.resolved_sites, self.placement) if coverage else None
            layers = LayerMapHandler(layer_psi, self.placement) if layer_psi is not None else None
            terms = TermCollector() if budget else None
            handlers = [h for h in (maps, shares, layers, terms) if h is not None]
            result = stream_bias_gradients(model, x, target, HandlerList(handlers))
            return Explanation(
                self.finish_maps(maps, self.input_term(x, result.input_gradient)),
                shares.coverage(x) if shares else None,
                layers.layer_maps() if layers else None,
                terms.budget(x, result) if terms else None,
            )

        return whole_or_one_by_one(explain_batch, _join_explanations, model, x, target)


def _join_explanations(parts: Sequence[Explanation]) -> Explanation:
    """Joins explanations of single samples to one of the batch."""
    coverages = [part.coverage for part in parts if part.coverage is not None]
    layer_maps = [part.layer_maps for part in parts if part.layer_maps is not None]
    budgets = [part.budget for part in parts if part.budget is not None]
    return Explanation(
        torch.cat([part.saliency for part in parts]),
        torch.cat(coverages) if coverages else None,
        join_layer_maps(layer_maps) if layer_maps else None,
        join_budgets(budgets) if budgets else None,
    )
