"""Grad-CAM, by captum, on the last convolution that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from captum import attr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

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

    def __call__(
        self, model: Model, x: Tensor, target: Target = None, *, sample_ids: Tensor | None = None
    ) -> Tensor:
        """Maps, (N, 1, H, W); see ``SaliencyMethod``.

        Raises:
            ValueError: No such layer, or no convolution that runs.
        """
        model = validate_images(model, x, target)
        network, target = as_module(model), fixed_target(model, x, target)
        with undisturbed(model, x):
            layer = self._layer(network, model, x)
            with _output_copied(layer):
                method = attr.LayerGradCam(explained_output(model, target), layer)
                cam = method.attribute(x.detach().clone(), relu_attributions=True)
        assert isinstance(cam, Tensor)
        cam = F.interpolate(cam.detach(), x.shape[2:], mode="bilinear", align_corners=False)
        return map_of(cam)

    def _layer(self, network: nn.Module, model: Model, x: Tensor) -> nn.Module:
        modules: dict[str, nn.Module] = dict(network.named_modules())
        if self.layer is not None:
            if self.layer not in modules:
                convolutions = [n for n, m in modules.items() if isinstance(m, nn.Conv2d)]
                raise ValueError(
                    f"The model has no layer {self.layer!r}. Its last convolutions are "
                    f"{', '.join(convolutions[-5:]) or 'none'}."
                )
            return modules[self.layer]
        last: list[nn.Module] = []

        def hook(module: nn.Module, _inputs: object, output: Tensor) -> None:
            if output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
                last[:] = [module]

        convolutions = [m for m in modules.values() if isinstance(m, nn.Conv2d)]
        handles = [module.register_forward_hook(hook) for module in convolutions]
        try:
            with torch.no_grad():
                model(x[:1].clone())
        finally:
            for handle in handles:
                handle.remove()
        if not last:
            raise ValueError(
                "Grad-CAM found no Conv2d with an output larger than 1×1. Name a layer whose "
                "output is (N, C, h, w): saliency_method('gradcam', layer='…')."
            )
        return last[0]


@contextmanager
def _output_copied(layer: nn.Module) -> Iterator[None]:
    # An in-place ReLU behind the layer would overwrite what captum holds as the layer's output. So
    # the network goes on with a copy, made by a hook that is always the last: after captum's.
    def register() -> RemovableHandle:
        return layer.register_forward_hook(lambda _module, _inputs, output: output.clone())

    handles = [register()]

    def come_last(_module: nn.Module, _inputs: object) -> None:
        handles.pop().remove()
        handles.append(register())

    before = layer.register_forward_pre_hook(come_last)
    try:
        yield
    finally:
        before.remove()
        handles[0].remove()
