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


class TwoHeads(nn.Module):
    """An auxiliary head runs last; a convolution is shared by two levels, of which one is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3)
        self.shared, self.auxiliary = nn.Conv2d(5, 5, 1), nn.Conv2d(5, 4, 3)
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        a = F.relu(self.stem(x), inplace=True)
        level, other = self.shared(a), self.shared(F.max_pool2d(a, 2))
        main = self.rest(F.relu(level, inplace=True))
        return {"main": main, "auxiliary": self.auxiliary(a).mean((2, 3)) + other.sum()}

    def rest(self, a: Tensor) -> Tensor:
        return self.head(self.body(a).relu().mean((2, 3)))


def main_head(output: dict[str, Tensor]) -> Tensor:
    return output["main"][range(len(TARGETS)), TARGETS.tolist()]


def test_a_head_that_runs_last_but_is_not_explained_is_passed_over() -> None:
    net, x = redraw(TwoHeads()), images(3, 3, 12, 9)
    up_to_shared = nn.Sequential(net.stem, nn.ReLU(), net.shared)
    features = nn.Sequential(up_to_shared, nn.ReLU(), net.body)
    tail = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.head)
    expected = by_formula(features, tail, x)
    assert expected.max() > 0
    torch.testing.assert_close(GradCAM()(net, x, main_head), expected)
    # Of a layer that runs twice, the run that feeds the output, which is not its last one.
    expected = by_formula(up_to_shared, lambda a: net.rest(a.relu()), x)  # type: ignore[arg-type]
    assert expected.max() > 0
    torch.testing.assert_close(GradCAM(layer="shared")(net, x, main_head), expected)
    # The other head, explained.
    saliency = GradCAM()(net, x, lambda y: y["auxiliary"][range(3), TARGETS.tolist()])
    expected = by_formula(
        nn.Sequential(net.stem, nn.ReLU(), net.auxiliary), lambda a: a.mean((2, 3)), x
    )  # type: ignore[arg-type]
    torch.testing.assert_close(saliency, expected)


def test_a_layer_that_does_not_feed_the_output_is_refused() -> None:
    net, x = redraw(TwoHeads()), images(3, 3, 12, 9)
    match = r"does not depend on layer 'auxiliary'.*: stem, body, shared, auxiliary\."
    with pytest.raises(ValueError, match=match):
        GradCAM(layer="auxiliary")(net, x, main_head)
    with pytest.raises(ValueError, match=r"no Conv2d .* the explained output depends on"):
        GradCAM()(net, x, lambda y: y["main"].detach()[:, 0])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_named_layer_whose_output_is_a_view_that_is_overwritten() -> None:
    """After an in-place ReLU on a view, the node of the view is not part of the graph any more."""

    class Permuted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.permute(0, 3, 1, 2)

    first = nn.Sequential(nn.Flatten(2), nn.Linear(108, 108), nn.Unflatten(2, (9, 12)))
    net = redraw(nn.Sequential(first, Permuted(), nn.ReLU(True), nn.Flatten(), nn.Linear(324, 4)))
    x = images(3, 3, 9, 12)
    expected = by_formula(net[:2], net[2:], x)
    assert expected.max() > 0
    torch.testing.assert_close(GradCAM(layer="1")(net, x, TARGETS), expected)


def test_a_network_that_takes_its_samples_one_by_one_has_no_common_layer() -> None:
    net, x = redraw(Disordered()), images(3, 3, 12, 9)

    class OneByOne(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.net(one) for one in x.split(1)])

    torch.testing.assert_close(GradCAM()(OneByOne(), x[:1], 2), GradCAM()(net, x[:1], 2))
    with pytest.raises(ValueError, match="with N=3"):
        GradCAM(layer="net.last")(OneByOne(), x)
