"""Saliency methods by name."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.saliency import registry
from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.baselines.smoothgrad import SmoothGrad
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.registry import (
    register_saliency_method,
    saliency_method,
    saliency_method_class,
    saliency_method_options,
    saliency_methods,
)
from fullgrad_lightning.utilities.checks import check_int
from tests.decomposition.redrawn import images, redraw
from tests.saliency.methods import Classifier, make


def test_the_names() -> None:
    assert saliency_methods() == (
        "fullgrad", "simple_fullgrad", "smooth_fullgrad", "input_gradient", "input_x_gradient",
        "integrated_gradients", "smoothgrad", "smoothgrad_squared", "vargrad", "gradcam",
        "guided_backprop", "random", "sobel", "blurred",
    )  # fmt: skip


def test_each_name_has_its_own_class_and_the_common_signature() -> None:
    methods = [make(name) for name in saliency_methods()]
    assert len({type(method) for method in methods}) == len(methods)
    expected = inspect.signature(SaliencyMethod.__call__)
    for method in methods:
        assert inspect.signature(type(method).__call__) == expected


def test_options_arrive() -> None:
    options: dict[str, Any] = {
        "n_samples": 7,
        "noise_level": 0.3,
        "seed": 4,
        "internal_batch_size": 2,
    }
    assert saliency_method("smoothgrad", **options) == SmoothGrad(**options)
    assert saliency_method("fullgrad", postprocess="abs") == FullGrad(postprocess="abs")


@pytest.mark.parametrize(
    ("name", "near"),
    [("full_grad", "fullgrad"), ("FullGrad", "fullgrad"), ("grad-cam", "gradcam"),
     ("smooth_grad", "smoothgrad"), ("integrated_gradient", "integrated_gradients")],
)  # fmt: skip
def test_an_unknown_name_is_told_the_closest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"No saliency method '{name}'. Did you mean '{near}'"):
        saliency_method(name)


def test_an_unknown_name_is_told_all_names() -> None:
    with pytest.raises(ValueError, match="No saliency method 'zzz'") as caught:
        saliency_method("zzz")
    assert "Did you mean" not in str(caught.value)
    assert ", ".join(saliency_methods()) in str(caught.value)


def test_an_unknown_option_is_told_the_options() -> None:
    with pytest.raises(TypeError, match="'vargrad' has no option 'samples'") as caught:
        saliency_method("vargrad", samples=3)
    assert "n_samples, noise_level, seed, internal_batch_size" in str(caught.value)
    with pytest.raises(TypeError, match=r"'sobel' has no option 'size'\. Its options: none"):
        saliency_method("sobel", size=3)


def test_the_classes_and_their_options() -> None:
    assert saliency_method_class("vargrad").__name__ == "VarGrad"
    assert saliency_method_options("sobel") == ()
    with_psi = [n for n in saliency_methods() if "postprocess" in saliency_method_options(n)]
    assert with_psi == [
        n for n in saliency_methods() if issubclass(saliency_method_class(n), FullGrad)
    ]
    assert with_psi == ["fullgrad", "simple_fullgrad", "smooth_fullgrad"]


def test_the_registry_alone_has_all_methods_and_needs_no_library_of_a_single_one() -> None:
    code = (
        "import sys\n"
        "from fullgrad_lightning.saliency.registry import saliency_method, saliency_methods\n"
        "saliency_method('gradcam'), saliency_method('blurred', method='fullgrad', sigma=1)\n"
        "print(saliency_methods(), [m for m in ('captum', 'torchvision') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{saliency_methods()} []"


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))


@dataclass(frozen=True, kw_only=True)
class Brightness(SaliencyMethod):
    """A method of a user's own, which reports how it was called."""

    power: int = 1

    def __post_init__(self) -> None:
        check_int("power", self.power, 1)

    def _attribute(self, model: Any, x: Tensor, target: Any, sample_ids: Tensor | None) -> Tensor:
        assert not model.training and not any(p.requires_grad for p in model.parameters())
        assert torch.is_grad_enabled() and not x.requires_grad
        return x.mean(1, keepdim=True).abs() ** self.power


@pytest.mark.usefixtures("own_registry")
def test_a_users_own_method_is_one_like_all_others() -> None:
    assert register_saliency_method("brightness")(Brightness) is Brightness
    assert saliency_methods()[-1] == "brightness"
    method, net = saliency_method("brightness", power=2), redraw(Classifier()).train()
    x = images(2, 3, 8, 8).requires_grad_()
    with torch.no_grad():
        torch.testing.assert_close(method(net, x), x.mean(1, keepdim=True) ** 2)
    assert net.training and all(p.requires_grad for p in net.parameters())
    with pytest.raises(ValueError, match=r"shape \(N, C, H, W\)"):
        method(net, x[0])
    with pytest.raises(ValueError, match="power must be an integer ≥ 1, got 0"):
        saliency_method("brightness", power=0)
    with pytest.raises(TypeError, match=r"'brightness' has no option 'size'\. Its options: power"):
        saliency_method("brightness", size=3)
    blurred = saliency_method("blurred", method="brightness", sigma=1.0)
    assert blurred(net, x).shape == (2, 1, 8, 8)
    with pytest.raises(ValueError, match="Did you mean 'brightness'"):
        saliency_method("brigthness")


@pytest.mark.usefixtures("own_registry")
def test_a_method_that_runs_the_model_on_other_inputs_gets_the_clean_top_class() -> None:
    targets = []

    @register_saliency_method("shifted")
    class Shifted(SaliencyMethod):
        fixes_target = True

        def _attribute(
            self, model: Any, x: Tensor, target: Any, sample_ids: Tensor | None
        ) -> Tensor:
            targets.append(target)
            return x[:, :1]

    net, x = redraw(Classifier()), images(4, 3, 8, 8)
    saliency_method("shifted")(net, x)
    saliency_method("shifted")(net, x, 3)
    assert targets[0].tolist() == net.eval()(x).argmax(1).tolist() and targets[1] == 3


@pytest.mark.usefixtures("own_registry")
def test_a_name_belongs_to_one_class() -> None:
    register_saliency_method("mine")(Brightness)
    register_saliency_method("mine")(Brightness)  # as when a notebook's cell is run again
    for name in ("mine", "fullgrad"):
        taken = saliency_method_class(name)
        with pytest.raises(ValueError, match=rf"already is a saliency method '{name}'"):
            register_saliency_method(name)(SmoothGrad)
        assert saliency_method_class(name) is taken


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize("other", [nn.Linear, lambda model, x: x, Brightness()])
def test_what_is_not_a_class_of_methods_is_refused(other: Any) -> None:
    with pytest.raises(TypeError, match="'mine' must be a subclass of SaliencyMethod"):
        register_saliency_method("mine")(other)
    assert "mine" not in saliency_methods()


def test_a_method_must_attribute() -> None:
    class Nothing(SaliencyMethod):
        pass

    with pytest.raises(TypeError, match="_attribute"):
        Nothing()  # type: ignore[abstract]
