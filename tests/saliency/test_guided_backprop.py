"""Guided backpropagation against networks whose ReLUs are replaced by guided ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision.models as tv
from captum import attr
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.saliency.baselines.gradients import InputGradient
from fullgrad_lightning.saliency.baselines.guided_backprop import GuidedBackprop
from tests.decomposition.redrawn import images, redraw
from tests.saliency.methods import relative_error

TARGETS = torch.tensor([2, 0, 1])


class Guided(torch.autograd.Function):
    """The definition: a gradient passes where the input and itself are positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (x > 0) * (gradient > 0)


def gradient_map(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    f = net(leaf.clone())[range(len(x)), TARGETS.tolist()].sum()
    return torch.autograd.grad(f, leaf)[0].abs().sum(1, keepdim=True)


def in_place_on_a_part(x: Tensor) -> Tensor:
    x[:, :3].relu_()
    F.relu(x[:, 3:], inplace=True)
    return x


RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "function": F.relu,
    "function in place": lambda x: F.relu(x, inplace=True),
    "method": lambda x: x.relu(),
    "torch in place": torch.relu_,
    "a view, in place": lambda x: nn.ReLU(inplace=True)(x.flatten(2)).view_as(x),
    "a view, copied": lambda x: F.relu(x.flatten(2)).view_as(x),
    "parts, in place": in_place_on_a_part,
}


class Net(nn.Module):
    def __init__(self, relu: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3)
        self.head, self.relu = nn.Linear(24, 4), relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.two(self.relu(self.one(x))))
        return self.head(x.flatten(1))


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_every_kind_of_relu_is_guided(relu: Callable[[Tensor], Tensor]) -> None:
    x = images()
    expected = gradient_map(redraw(Net(Guided.apply)), x)
    torch.testing.assert_close(GuidedBackprop()(redraw(Net(relu)), x, TARGETS), expected)
    plain = gradient_map(redraw(Net(F.relu)), x)
    assert relative_error(plain, expected) > 0.1


def test_as_hooks_on_modules_and_as_captum_by_hand() -> None:
    net, x = redraw(tv.resnet18(num_classes=4)).eval(), images(3, 3, 64, 64)
    got = GuidedBackprop()(net, x, TARGETS)
    for module in net.modules():
        if isinstance(module, tv.resnet.BasicBlock):
            module.relu = nn.ReLU()  # captum hooks modules, here one that runs twice
            module.conv1 = nn.Sequential(module.conv1, module.bn1, nn.ReLU())
            module.bn1 = nn.Identity()
        elif isinstance(module, nn.ReLU):
            module.inplace = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        captums = attr.GuidedBackprop(_Split(net)).attribute(x, TARGETS)
    torch.testing.assert_close(got, captums.abs().sum(1, keepdim=True))


class _Split(nn.Module):
    """A resnet18 whose first ReLU of each block belongs to ``conv1``: each module runs once."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        net = self.net
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for block in (*net.layer1, *net.layer2, *net.layer3, *net.layer4):
            identity = x if block.downsample is None else block.downsample(x)
            x = block.relu(block.bn2(block.conv2(block.conv1(x))) + identity)
        return net.fc(net.avgpool(x).flatten(1))


def test_googlenet_whose_relus_are_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    net = redraw(tv.googlenet(num_classes=4, init_weights=False)).eval()
    x = images(3, 3, 64, 64)
    got, plain = GuidedBackprop()(net, x, TARGETS), InputGradient()(net, x, TARGETS)
    assert relative_error(got, plain) > 0.1
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: Guided.apply(x))
    torch.testing.assert_close(got, gradient_map(net, x))


@pytest.mark.parametrize("inplace", [False, True])
def test_relu6_is_guided_and_other_bounds_are_not(inplace: bool) -> None:
    def guided6(x: Tensor) -> Tensor:
        return -torch.maximum(-Guided.apply(x), x.new_tensor(-6))

    x = 5 * images()
    got = GuidedBackprop()(redraw(Net(nn.ReLU6(inplace))), x, TARGETS)
    expected = gradient_map(redraw(Net(guided6)), x)
    assert relative_error(gradient_map(redraw(Net(Guided.apply)), x), expected) > 0.1  # 6 is met
    torch.testing.assert_close(got, expected)
    net = redraw(Net(nn.Hardtanh(-1, 1, inplace)))
    with pytest.warns(UserWarning, match="found no ReLU"):
        got = GuidedBackprop()(net, x, TARGETS)
    torch.testing.assert_close(got, gradient_map(net, x))


def test_without_a_relu_it_is_the_gradient_and_says_so() -> None:
    net, x = redraw(Net(F.gelu)), images()
    with pytest.warns(UserWarning, match="found no ReLU.*plain input gradient"):
        got = GuidedBackprop()(net, x, TARGETS)
    torch.testing.assert_close(got, gradient_map(net, x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GuidedBackprop()(redraw(Net(F.relu)), x, TARGETS)
