"""Grad-CAM, by captum, on the last convolution that the explained output depends on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.decomposition import Model, Target
from fullgrad_lightning.saliency.base import SaliencyMethod, as_module, channel_sum
from fullgrad_lightning.saliency.baselines.gradients import ancestor_nodes, explained_output
from fullgrad_lightning.saliency.registry import register_saliency_method

Run = tuple[nn.Module, int]  # a module, and the number of its call, from 1


@register_saliency_method("gradcam")
@dataclass(frozen=True, kw_only=True)
class GradCAM(SaliencyMethod):
    """ReLU(Σ_k mean(∂f/∂A_k)·A_k), enlarged bilinearly (Selvaraju et al. 2017), by captum.

    Args:
        layer: Path of the module whose output is A; ``None``: the last ``Conv2d`` to run whose
            output is larger than 1×1 and that the explained output depends on (an auxiliary head
            is not). The last such run, where a module runs several times.

    Raises:
        ValueError: ``layer`` is not a path. When called: there is no such layer, or none that runs,
            whose output is (N, C, h, w), and that the explained output depends on.
        TypeError: When called: the model is not an ``nn.Module``.
    """

    layer: str | None = None

    def __post_init__(self) -> None:
        if self.layer is not None and not (isinstance(self.layer, str) and self.layer):
            raise ValueError(
                "layer must be the path of a module, as in model.named_modules(), or None, got "
                f"{self.layer!r}."
            )

    def _attribute(
        self, model: Model, x: Tensor, target: Target, sample_ids: Tensor | None
    ) -> Tensor:
        from captum import attr  # takes seconds, and most methods do without

        f = explained_output(model, target)
        module, call = self._choose_run(as_module(model), f, x)
        # captum hooks a module and takes its last call: it gets one that is called once. What
        # follows gets a clone of its output, so that an in-place ReLU there does no harm.
        once, calls = nn.Identity(), Counter[nn.Module]()

        def pass_through(module: nn.Module, _inputs: object, output: object) -> Tensor | None:
            calls[module] += 1
            return once(output) if calls[module] == call else None

        with module.register_forward_hook(pass_through):
            cam = attr.LayerGradCam(f, once).attribute(x.clone(), relu_attributions=True)
        assert isinstance(cam, Tensor)
        cam = F.interpolate(cam.detach(), x.shape[2:], mode="bilinear", align_corners=False)
        return channel_sum(cam)

    def _choose_run(self, network: nn.Module, f: Callable[[Tensor], Tensor], x: Tensor) -> Run:
        """Returns the last run, of the named layer or of any convolution, that f depends on."""
        modules: dict[str, nn.Module] = dict(network.named_modules())
        convolutions = {n: m for n, m in modules.items() if isinstance(m, nn.Conv2d)}
        remedy = f"Its last convolutions: {', '.join(list(convolutions)[-5:]) or 'none'}."
        if self.layer is not None and self.layer not in modules:
            raise ValueError(f"The model has no layer {self.layer!r}. {remedy}")
        candidates = [modules[self.layer]] if self.layer else list(convolutions.values())
        runs, used = _find_runs(candidates, f, x, smallest=1 if self.layer else 2)
        if used:
            return runs[max(used)]
        if self.layer and not runs:
            raise ValueError(
                f"Layer {self.layer!r} did not run, or its output is not one tensor (N, C, h, w) "
                f"with N={len(x)}. {remedy}"
            )
        if self.layer:
            raise ValueError(
                f"The explained output does not depend on layer {self.layer!r}: it belongs to "
                f"another head, or its output is detached. {remedy}"
            )
        raise ValueError(
            "Grad-CAM found no Conv2d with an output larger than 1×1 that the explained output "
            "depends on. Name a layer whose output is (N, C, h, w): saliency_method('gradcam', "
            "layer='…')."
        )


def _find_runs(
    modules: Iterable[nn.Module], f: Callable[[Tensor], Tensor], x: Tensor, smallest: int
) -> tuple[list[Run], list[int]]:
    """Finds all runs with an output (N, C, h, w), h·w ≥ ``smallest``, and which of them are used.

    A run is used if f depends on it other than through a later run.
    """
    runs: list[Run] = []
    calls = Counter[nn.Module]()

    def cut(module: nn.Module, _inputs: object, output: object) -> Tensor | None:
        calls[module] += 1
        if not (isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point()):
            return None
        if len(output) != len(x) or output.shape[2] * output.shape[3] < smallest:
            return None
        # Nothing of the graph before the last convolution is kept. The clone is neither a leaf nor
        # a view, and may be overwritten.
        output = output.detach().requires_grad_().clone()
        node: Any = output.grad_fn
        node.metadata["run"] = len(runs)
        runs.append((module, calls[module]))
        return output

    with ExitStack() as hooks:
        for module in modules:
            hooks.enter_context(module.register_forward_hook(cut))
        nodes = ancestor_nodes(f(x.clone()).grad_fn)
    return runs, [node.metadata["run"] for node in nodes if "run" in node.metadata]
