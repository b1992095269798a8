"""FullGradMonitor: forward calls of the network beside Lightning's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fullgrad_lightning as fgl
from fullgrad_lightning.callbacks.fullgrad_monitor.monitor import FullGradMonitor
from fullgrad_lightning.callbacks.pixel_perturbation_monitor import PixelPerturbationMonitor
from tests.callbacks.training import data, loader, module, trainer

FIRST = {"indices": range(4)}


class Counter:
    """A LightningModule that counts its forward calls, with the sizes of their batches."""

    def __init__(self) -> None:
        self.model = module()
        self.sizes: list[int] = []
        forward = type(self.model).forward

        def counted(model: Any, x: Tensor) -> Tensor:
            self.sizes.append(len(x))
            return forward(model, x)

        type(self.model).forward = counted


def validate(monitor: Any, root: Path) -> list[int]:
    """Batch sizes of the monitor's calls in a validation of 24 samples in batches of 8."""
    counter = Counter()
    trainer(root).validate(counter.model, loader(24), verbose=False)
    without = len(counter.sizes)
    trainer(root, monitor).validate(counter.model, loader(24), verbose=False)
    sizes = counter.sizes[without:]
    for _ in range(without):  # those of the validation step
        sizes.remove(8)
    return sizes


def calls_of(method: str, n: int) -> int:
    counter = Counter()
    x = data(n).tensors[0]
    fgl.saliency_method(method)(counter.model, x, torch.zeros(n, dtype=torch.int64))
    return len(counter.sizes)


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        (FIRST | {"residual_samples": 4}, [4, 4]),
        (FIRST | {"residual_samples": 4, "layer_maps": True}, [4, 4]),
        (FIRST | {"residual_samples": 1, "target": "label"}, [4, 4]),
        (FIRST | {"residual_samples": 4, "method": "simple_fullgrad", "layer_maps": True}, [4, 4]),
        # Residual samples that are not watched: one decomposition of each batch that has some.
        (FIRST | {"residual_samples": 6}, [2, 4, 4]),
        (FIRST | {"residual_samples": 12}, [4, 4, 4, 4]),
        ({"num_samples": 4, "layer_maps": True}, [6, 7, 7, 4, 4]),
        # More than 16 watched samples take two chunks.
        ({"num_samples": 20, "residual_samples": 1, "layer_maps": True}, [16, 16, 4, 4]),
    ],
)
def test_one_pass_for_the_logits_and_one_decomposition(
    options: dict[str, Any], sizes: list[int], tmp_path: Path
) -> None:
    assert validate(FullGradMonitor(**options), tmp_path) == sizes


@pytest.mark.parametrize("method", ["gradcam", "smoothgrad", "guided_backprop", "random"])
def test_other_methods_take_what_they_need(method: str, tmp_path: Path) -> None:
    beside = FullGradMonitor(methods=[method], **FIRST, residual_samples=4, layer_maps=True)
    assert len(validate(beside, tmp_path)) == 2 + calls_of(method, 4)
    main = FullGradMonitor(method=method, **FIRST, residual_samples=4, layer_maps=True)
    assert len(validate(main, tmp_path)) == 2 + calls_of(method, 4)
    late = FullGradMonitor(method=method, indices=[20, 21], residual_samples=1)
    assert len(validate(late, tmp_path)) == 2 + calls_of(method, 2)  # the logits and sample 0


def test_an_adapter_of_outputs_costs_no_call(tmp_path: Path) -> None:
    class Halves(FullGradMonitor):
        def output_to_logits(self, output: Any) -> Tensor:
            return output[:, :2]

    assert validate(Halves(**FIRST, residual_samples=4, layer_maps=True), tmp_path) == [4, 4]


def test_the_sanity_check_takes_one_call(tmp_path: Path) -> None:
    counter = Counter()
    run = trainer(tmp_path, FullGradMonitor(4), max_epochs=0, num_sanity_val_steps=2)
    run.fit(counter.model, loader(16), loader(24))
    assert sorted(counter.sizes) == [1, 8, 8]


def test_pixel_perturbation(tmp_path: Path) -> None:
    """A decomposition, then the clean images and those of each fraction."""
    monitor = PixelPerturbationMonitor((0.1, 0.5), num_samples=8)
    assert validate(monitor, tmp_path) == [8, 8, 8, 8]
