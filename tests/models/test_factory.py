"""Networks by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import WeightsEnum

from fullgrad_lightning.models import build_model, model_names

# One of each kind of first and last layer: nested, convolutional, without bias, with further heads.
NETWORKS = {
    "resnet18": 32, "squeezenet1_1": 64, "densenet121": 32, "mobilenet_v3_small": 32,
    "efficientnet_b0": 32, "convnext_tiny": 32, "vit_b_32": 224, "swin_t": 32, "googlenet": 64,
    "inception_v3": 96,
}  # fmt: skip


def test_names_are_vgg9_and_classifiers() -> None:
    names = model_names()
    assert names[0] == "vgg9" and {*NETWORKS} < {*names}
    assert not any("rcnn" in n or "segmentation" in n or "quantized" in n for n in names)
    assert len(names) == 1 + len(torchvision.models.list_models(module=torchvision.models))


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_classes_and_channels(name: str, channels: int) -> None:
    network = build_model(name, 7, channels)
    side = NETWORKS[name]
    for training in (True, False):
        with torch.no_grad():
            out = network.train(training)(torch.randn(2, channels, side, side))
        assert isinstance(out, torch.Tensor) and out.shape == (2, 7)


def test_the_first_convolution_keeps_all_else() -> None:
    grey, rgb = (build_model("resnet18", 5, channels) for channels in (1, 3))
    first, usual = grey.conv1, rgb.conv1
    assert isinstance(first, nn.Conv2d) and isinstance(usual, nn.Conv2d)
    assert first.weight.shape == (64, 1, 7, 7)
    for part in ("stride", "padding", "dilation", "groups", "bias"):
        assert getattr(first, part) == getattr(usual, part)
    assert [n for n, _ in grey.named_parameters()] == [n for n, _ in rgb.named_parameters()]


@pytest.fixture
def weights_of(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the download: random weights of the right shapes."""
    loaded: dict[str, Any] = {}

    def get_state_dict(self: WeightsEnum, *args: object, **kwargs: object) -> dict[str, Any]:
        name = type(self).__name__.removesuffix("_Weights").lower().replace("inceptionv3", "")
        name = name or "inception_v3"
        further = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        network = torchvision.models.get_model(name, **further)
        loaded[self.name] = network.state_dict()
        return loaded[self.name]

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    return loaded


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1"])
def test_weights_are_loaded_and_the_head_replaced(weights: str, weights_of: dict[str, Any]) -> None:
    network = build_model("resnet18", 5, weights=weights)
    (state,) = weights_of.values()
    mine = network.state_dict()
    assert set(mine) == set(state)
    for name, values in mine.items():
        if not name.startswith("fc."):
            assert values.equal(state[name]), name
    assert mine["fc.weight"].shape == (5, 512)


def test_a_head_of_the_right_size_is_kept(weights_of: dict[str, Any]) -> None:
    network = build_model("resnet18", 1000, weights="DEFAULT")
    (state,) = weights_of.values()
    assert network.state_dict()["fc.weight"].equal(state["fc.weight"])


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "squeezenet1_1"])
@pytest.mark.parametrize("channels", [3, 1])
def test_weights_of_unusual_networks(name: str, channels: int, weights_of: dict[str, Any]) -> None:
    network = build_model(name, 5, channels, weights="DEFAULT").train()
    out = network(torch.randn(2, channels, 96, 96))
    assert isinstance(out, torch.Tensor) and out.shape == (2, 5) and len(weights_of) == 1


@pytest.mark.parametrize(
    ("name", "near"), [("resnet19", "resnet18"), ("vgg_9", "vgg9"), ("efficientnetb0", "net_b0")]
)
def test_an_unknown_name_is_told_close_ones(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"No model '{name}'. Did you mean .*{near}"):
        build_model(name, 10)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="resnet18 has no weights 'V3'; it has IMAGENET1K_V1"):
        build_model("resnet18", 10, weights="V3")
    with pytest.raises(ValueError, match="vgg9 has no weights to load, got weights='DEFAULT'"):
        build_model("vgg9", 10, weights="DEFAULT")
    with pytest.raises(ValueError, match="num_classes must be an integer ≥ 1, got 0"):
        build_model("resnet18", 0)
    with pytest.raises(TypeError, match="depth"):
        build_model("vgg9", 10, options={"depth": 3})


def test_options_arrive() -> None:
    network = build_model("vit_b_32", 3, options={"image_size": 64})
    assert network(torch.randn(1, 3, 64, 64)).shape == (1, 3)
    first = build_model("vgg9", 3, options={"width": 8}).get_submodule("conv1")
    assert first.weight.shape == (8, 3, 3, 3)
