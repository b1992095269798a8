"""Grad-CAM, by captum, on the last convolution that runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from captum import attr
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.decomposition import Model, Target, undisturbed
from fullgrad_lightning.saliency.method import (
    as_module,
    explained_output,
    fixed_target,
    map_of,
    validate_images,
)


@dataclass(frozen=True, kw_only=True)
class GradCAM:
    """ReLU(Σ_k mean(∂f/∂A_k)·A_k), enlarged bilinearly (Selvaraju et al. 2017), by captum.

    Args:
        layer: Path of the module whose output is A; ``None``: the last ``Conv2d`` that runs and
            whose output is larger than 1×1.
    """

    layer: str | None = None

    def __post_init__(self) -> None:
        if self.layer is not None and not (isinstance(self.layer, str) and self.layer):
            raise ValueError(
                "layer must be the path of a module, as in model.named_modules(), or None, got "
                f"{self.layer!r}."
            )

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``.

        Raises:
            TypeError: The model is no ``nn.Module``.
            ValueError: No such layer, or none that runs and whose output is (N, C, h, w).
        """
        model = validate_images(model, x, target)
        network, target = as_module(model), fixed_target(model, x, target)
        with undisturbed(model, x):
            layer = self._layer(network, model, x)
            # captum hands a clone on to what follows: an in-place ReLU there does no harm.
            method = attr.LayerGradCam(explained_output(model, target), layer)
            cam = method.attribute(x.detach().clone(), relu_attributions=True)
        assert isinstance(cam, Tensor)
        cam = F.interpolate(cam.detach(), x.shape[2:], mode="bilinear", align_corners=False)
        return map_of(cam)

    def _layer(self, network: nn.Module, model: Model, x: Tensor) -> nn.Module:
        modules: dict[str, nn.Module] = dict(network.named_modules())
        convolutions = {n: m for n, m in modules.items() if isinstance(m, nn.Conv2d)}
        shown = ", ".join(list(convolutions)[-5:]) or "none"
        if self.layer is not None and self.layer not in modules:
            raise ValueError(
                f"The model has no layer {self.layer!r}. Its last convolutions: {shown}."
            )
        last: list[nn.Module] = []

        def hook(module: nn.Module, _inputs: object, output: object) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                return
            if self.layer or output.shape[2] * output.shape[3] > 1:
                last[:] = [module]

        watched = [modules[self.layer]] if self.layer else list(convolutions.values())
        handles = [module.register_forward_hook(hook) for module in watched]
        try:
            with torch.no_grad():
                model(x[:1].clone())
        finally:
            for handle in handles:
                handle.remove()
        if not last and self.layer:
            raise ValueError(
                f"Layer {self.layer!r} did not run, or its output is not one tensor (N, C, h, w). "
                f"The model's last convolutions: {shown}."
            )
        if not last:
            raise ValueError(
                "Grad-CAM found no Conv2d with an output larger than 1×1. Name a layer whose "
                "output is (N, C, h, w): saliency_method('gradcam', layer='…')."
            )
        return last[0]
