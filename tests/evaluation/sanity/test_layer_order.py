"""The order in which a network uses its layers."""

from __future__ import annotations

import torch
import torchvision.models as tv
from torch import Tensor, nn

from fullgrad_lightning.evaluation.sanity.layer_order import layers_from_output


class Backwards(nn.Module):
    """Registers its layers the other way round than it runs them, and one that it never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.auxiliary = nn.Linear(4, 3)
        self.second = nn.Conv2d(4, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4, affine=False)  # owns statistics alone
        self.first = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.norm(self.second(self.first(x)))).mean((2, 3)))


class Tokens(nn.Module):
    """Owns a class token and positions, and uses the weight of a layer that it never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, 5, 4))
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.embedding = nn.Conv2d(3, 4, 8, 8)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.projection = nn.Linear(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embedding(x).flatten(2).mT
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.positions
        tokens = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(torch.nn.functional.linear(tokens, self.projection.weight)[:, 0])


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared, self.between = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(self.between(self.shared(x.flatten(1))))


def test_execution_decides_not_registration() -> None:
    assert layers_from_output(Backwards(), torch.rand(1, 3, 8, 8)) == [
        "head", "norm", "second", "first",
    ]  # fmt: skip


def test_parameters_used_without_running_their_module() -> None:
    assert layers_from_output(Tokens(), torch.rand(1, 3, 16, 16)) == [
        "head", "projection", "attention.out_proj", "attention", "", "embedding",
    ]  # fmt: skip


def test_the_last_run_counts() -> None:
    assert layers_from_output(Twice(), torch.rand(1, 6)) == ["shared", "between"]


def test_reading_a_shape_is_no_use() -> None:
    class Careful(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            assert out.dtype == self[0].weight.dtype and self[0].weight.shape[1] == x.shape[1]
            return out

    net = Careful(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert layers_from_output(net, torch.rand(1, 4)) == ["2", "0"]


def test_every_parameter_of_torchvision_networks_belongs_to_a_layer() -> None:
    for name, size in (("resnet18", 64), ("vit_b_16", 224), ("swin_t", 64), ("convnext_tiny", 64)):
        with torch.random.fork_rng(devices=[]):
            net = tv.get_model(name)
        layers = layers_from_output(net, torch.rand(1, 3, size, size))
        owners = {key.rpartition(".")[0] for key, _ in net.named_parameters()}
        assert set(layers) == owners and len(layers) == len(set(layers)), name
    assert layers[0] == "classifier.2" and layers[-1] == "features.0.0"  # of ConvNeXt


def test_the_model_is_left_as_it_was() -> None:
    net = Backwards().train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    layers_from_output(net, torch.rand(2, 3, 8, 8))
    assert all(module.training for module in net.modules())
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
