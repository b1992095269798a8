"""Grad-CAM, by captum, on the last convolution that the explained output depends on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from captum import attr
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.decomposition import Model, Target, isolate_model
from fullgrad_lightning.saliency.base import (
    as_module,
    channel_sum,
    explained_output,
    nodes_behind,
    validate_images,
)

Hook = Callable[[nn.Module, object, object], Tensor | None]
Run = tuple[nn.Module, int]  # a module, and which of its calls is meant


@dataclass(frozen=True, kw_only=True)
class GradCAM:
    """ReLU(Σ_k mean(∂f/∂A_k)·A_k), enlarged bilinearly (Selvaraju et al. 2017), by captum.

    Args:
        layer: Path of the module whose output is A; ``None``: the last ``Conv2d`` to run whose
            output is larger than 1×1 and that the explained output depends on (an auxiliary head
            is not). Of a module that runs several times, the last such run.

    Raises:
        ValueError: Not a path.
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
            ValueError: No such layer, or none that runs, whose output is (N, C, h, w), and that the
                explained output depends on.
        """
        model = validate_images(model, x, target)
        network = as_module(model)
        with isolate_model(model, x):
            x = x.detach()
            f = explained_output(model, target)
            module, call = self._run_shown(network, f, x)
            # captum watches a module and takes its last call: it is given one that is called once.
            # What follows gets a clone from it, so that an in-place ReLU there does no harm.
            once, calls = nn.Identity(), Counter[nn.Module]()

            def through_it(module: nn.Module, _inputs: object, output: object) -> Tensor | None:
                calls[module] += 1
                return once(output) if calls[module] == call else None

            with _hooks([module], through_it):
                cam = attr.LayerGradCam(f, once).attribute(x.clone(), relu_attributions=True)
        assert isinstance(cam, Tensor)
        cam = F.interpolate(cam.detach(), x.shape[2:], mode="bilinear", align_corners=False)
        return channel_sum(cam)

    def _run_shown(self, network: nn.Module, f: Callable[[Tensor], Tensor], x: Tensor) -> Run:
        """The last run, of the named layer or of any convolution, that f depends on."""
        modules: dict[str, nn.Module] = dict(network.named_modules())
        convolutions = {n: m for n, m in modules.items() if isinstance(m, nn.Conv2d)}
        remedy = f"Its last convolutions: {', '.join(list(convolutions)[-5:]) or 'none'}."
        if self.layer is not None and self.layer not in modules:
            raise ValueError(f"The model has no layer {self.layer!r}. {remedy}")
        watched = [modules[self.layer]] if self.layer else list(convolutions.values())
        runs, feeding = _runs(watched, f, x, smallest=1 if self.layer else 2)
        if feeding:
            return runs[max(feeding)]
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


def _runs(
    watched: Iterable[nn.Module], f: Callable[[Tensor], Tensor], x: Tensor, smallest: int
) -> tuple[list[Run], list[int]]:
    """All runs with an output (N, C, h, w), h·w ≥ ``smallest``, and which of them f depends on.

    Where one comes after another, f is only said to depend on the later one.
    """
    runs: list[Run] = []
    calls = Counter[nn.Module]()

    def cut(module: nn.Module, _inputs: object, output: object) -> Tensor | None:
        calls[module] += 1
        if not (isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point()):
            return None
        if len(output) != len(x) or output.shape[2] * output.shape[3] < smallest:
            return None
        # Nothing of the graph before the last convolution is kept; a clone is no leaf, nor a view,
        # and may be overwritten.
        output = output.detach().requires_grad_().clone()
        node: Any = output.grad_fn
        node.metadata["run"] = len(runs)
        runs.append((module, calls[module]))
        return output

    with _hooks(watched, cut):
        nodes = nodes_behind(f(x.clone()).grad_fn)
    return runs, [node.metadata["run"] for node in nodes if "run" in node.metadata]


@contextmanager
def _hooks(modules: Iterable[nn.Module], hook: Hook) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
