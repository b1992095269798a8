"""Grad-CAM against its formula and captum called by hand; which layer it takes."""

from __future__ import annotations

import pytest
import torch
import torchvision.models as tv
from captum import attr
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.saliency.baselines.gradcam import GradCAM
from tests.decomposition.redrawn import images, redraw

TARGETS = torch.tensor([2, 0, 1])


def by_formula(features: nn.Module, rest: nn.Module, x: Tensor) -> Tensor:
    """ReLU(Σ_k mean(∂f/∂A_k)·A_k) from the two halves of a network; the first one ends with A."""
    a = features(x).detach().requires_grad_()
    f = rest(a.clone())[range(len(x)), TARGETS.tolist()].sum()
    weights = torch.autograd.grad(f, a)[0].mean((2, 3), keepdim=True)
    cam = (weights * a.detach()).sum(1, keepdim=True).relu()
    return F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)


class Vgg(nn.Module):
    """The features of VGG-11, narrow, and a smaller head."""

    def __init__(self) -> None:
        super().__init__()
        plan: list[str | int] = [4, "M", 6, "M", 8, 8, "M", 8, 8, "M", 8, 8, "M"]
        self.features = tv.vgg.make_layers(plan)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(48, 9), nn.ReLU(True), nn.Linear(9, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def test_vgg_with_its_relu_in_place() -> None:
    net, x = redraw(Vgg()), images(3, 3, 64, 96)
    for layer, end in ((None, 19), ("features.18", 19), ("features.8", 9)):
        assert isinstance(net.features[end - 1], nn.Conv2d) and net.features[end].inplace
        rest = nn.Sequential(net.features[end:], net.head)
        expected = by_formula(net.features[:end], rest, x)
        assert (expected.flatten(1).amax(1) > 0).all()
        torch.testing.assert_close(GradCAM(layer=layer)(net, x, TARGETS), expected)


def test_resnet_as_captum_by_hand() -> None:
    net, x = redraw(tv.resnet18(num_classes=4)).eval(), images(3, 3, 64, 96)
    for layer, module in ((None, net.layer4[1].conv2), ("layer3", net.layer3)):
        cam = attr.LayerGradCam(net, module).attribute(x, TARGETS, relu_attributions=True)
        expected = F.interpolate(cam.detach(), (64, 96), mode="bilinear", align_corners=False)
        assert expected.max() > 0
        torch.testing.assert_close(GradCAM(layer=layer)(net, x, TARGETS), expected)


class Disordered(nn.Module):
    """The last convolution that runs is neither the last one registered nor the last of all."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Conv2d(5, 4, 3), nn.Conv2d(3, 5, 3)
        self.squeeze, self.unused = nn.Conv2d(4, 4, 1), nn.Conv2d(3, 3, 1)
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        a = self.last(F.relu(self.first(x)))
        return self.tail(a)

    def tail(self, a: Tensor) -> Tensor:
        return self.head((a * self.squeeze(a.mean((2, 3), keepdim=True)).sigmoid()).mean((2, 3)))


def test_the_layer_is_found_by_execution() -> None:
    net, x = redraw(Disordered()), images(3, 3, 12, 9)
    features = nn.Sequential(net.first, nn.ReLU(), net.last)
    expected = by_formula(features, net.tail, x)  # type: ignore[arg-type]
    assert expected.max() > 0
    torch.testing.assert_close(GradCAM()(net, x, TARGETS), expected)
    torch.testing.assert_close(GradCAM()(net.forward, x, TARGETS), expected)


def test_a_layer_that_is_not_there_or_does_not_fit() -> None:
    net, x = redraw(Disordered()), images(3, 3, 12, 9)
    with pytest.raises(ValueError, match=r"no layer 'conv'.*: last, first, squeeze, unused\."):
        GradCAM(layer="conv")(net, x)
    for name in ("unused", "head"):
        with pytest.raises(ValueError, match=f"Layer '{name}' did not run, or its output is not"):
            GradCAM(layer=name)(net, x)
    with pytest.raises(ValueError, match="found no Conv2d with an output larger than 1×1"):
        GradCAM()(nn.Sequential(nn.Flatten(), nn.Linear(324, 4)).double(), x)
    with pytest.raises(TypeError, match=r"needs an nn\.Module"):
        GradCAM()(lambda x: net(x), x)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
