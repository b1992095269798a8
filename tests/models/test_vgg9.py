"""The paper's network: its layers, what it accepts, and that it decomposes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fullgrad_lightning as fgl
from fullgrad_lightning.models import vgg9


def test_nine_layers_as_the_authors_have_them() -> None:
    network = vgg9()
    convolutions = [m for m in network if isinstance(m, nn.Conv2d)]
    linear = [m for m in network if isinstance(m, nn.Linear)]
    assert len(convolutions) + len(linear) == 9
    assert [m.out_channels for m in convolutions] == [64, 128, 256, 256, 512, 512, 512, 512]
    assert all(m.kernel_size == (3, 3) and m.padding == (1, 1) for m in convolutions)
    assert (linear[0].in_features, linear[0].out_features) == (512, 100)
    order = " ".join(type(m).__name__ for m in network)
    block, pool = "Conv2d BatchNorm2d ReLU", "MaxPool2d"
    assert order.startswith(f"{block} {pool} {block} {pool} {block} {block} {pool} {block} {block}")
    assert order.count(pool) == 5 and order.endswith(f"{pool} AdaptiveAvgPool2d Flatten Linear")


def test_resolutions_on_32() -> None:
    network, sides = vgg9(width=4), []
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda module, args, out: sides.append(out.shape[-1]))
    network(torch.rand(2, 3, 32, 32))
    assert sides == [32, 16, 8, 8, 4, 4, 2, 2]


@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 28), (1, 16), (4, 40), (3, 64)])
def test_other_images(channels: int, side: int) -> None:
    network = vgg9(7, channels, width=4)
    assert network(torch.rand(2, channels, side, side + 3)).shape == (2, 7)


def test_width_scales_all_layers() -> None:
    def size(width: int) -> int:
        weights = (m.weight for m in vgg9(10, width=width) if isinstance(m, nn.Conv2d))
        return sum(w.numel() for w in list(weights)[1:])

    assert size(16) == 4 * size(8)


@pytest.mark.parametrize("options", [{"width": 0}, {"num_classes": 0}, {"in_channels": 1.5}])
def test_bad_options(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be an integer ≥ 1"):
        vgg9(**options)


@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 28)])
def test_its_decomposition_is_exact(channels: int, side: int) -> None:
    torch.manual_seed(0)
    network = vgg9(10, channels, width=16).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.weight.data, module.bias.data):
                assert values is not None
                values.normal_()
            assert module.running_var is not None
            module.running_var.uniform_(0.1, 3)
    x = torch.randn(4, channels, side, side, dtype=torch.float64)
    budget = fgl.attribution_budget(network, x)
    assert float(budget.relative_residual.max()) <= 1e-12
    assert set(budget.bias_terms) == {f"bn{i}" for i in range(1, 9)} | {"linear"}
    assert all(bool((term != 0).all()) for term in budget.bias_terms.values())
