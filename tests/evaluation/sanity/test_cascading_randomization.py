"""Layers forget one after the other, on a copy, and nothing else changes."""

from __future__ import annotations

import random
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn

from fullgrad_lightning.evaluation.sanity.cascading_randomization import (
    CascadingRandomization,
    depths,
    reinitialize,
)
from tests.evaluation.sanity.test_layer_order import Backwards, Tokens
from tests.saliency.networks import network

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def state(net: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


def differing(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {key for key in before if not torch.equal(before[key], after[key])}


@pytest.mark.parametrize("stages", [None, 1, 4])
@pytest.mark.parametrize("name", ["residual", "mobile", "plain"])
def test_each_stage_changes_its_own_layers_and_nothing_else(name: str, stages: int | None) -> None:
    net, x = network(name, torch.float32), IMAGES
    cascade = CascadingRandomization(net, x, stages=stages)
    found = [state(forgetful) for forgetful in cascade]
    assert len(found) == len(cascade) == len(cascade.depths)
    assert not differing(state(net), found[0])
    for (before, after), (start, end) in zip(
        pairwise(found), pairwise(cascade.depths), strict=True
    ):
        changed = differing(before, after)
        assert {key.rpartition(".")[0] for key in changed} == set(cascade.layers[start:end])
    # Nothing of what was learnt is left: the networks were redrawn so that nothing is initial.
    assert differing(found[0], found[-1]) >= {key for key, _ in net.named_parameters()}


def test_the_users_model_is_bit_identical_and_so_are_random_numbers() -> None:
    net = tv.resnet18(num_classes=4).train()
    net.conv1.requires_grad_(False)
    before, modes = state(net), [module.training for module in net.modules()]
    learning = [p.requires_grad for p in net.parameters()]
    states = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    for forgetful in CascadingRandomization(net, IMAGES):
        assert forgetful is not net
    assert not differing(before, state(net))
    assert [module.training for module in net.modules()] == modes
    assert [p.requires_grad for p in net.parameters()] == learning
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1] and random.getstate() == states[2]


def test_weights_depend_on_the_seed_and_the_layer_alone() -> None:
    net = network("residual", torch.float32)

    def last(stages: int | None, seed: int) -> dict[str, Tensor]:
        *_, forgetful = CascadingRandomization(net, IMAGES, stages=stages, seed=seed)
        return state(forgetful)

    assert not differing(last(3, 0), last(None, 0))
    torch.rand(1)  # the global generator moves on
    assert not differing(last(3, 0), last(3, 0))
    assert "fc.weight" in differing(last(3, 0), last(3, 1))


def test_it_can_be_iterated_twice() -> None:
    cascade = CascadingRandomization(network("plain", torch.float32), IMAGES, stages=2)
    first, second = ([state(net) for net in cascade] for _ in range(2))
    assert not any(differing(a, b) for a, b in zip(first, second, strict=True))


def test_norms_are_as_on_the_first_day() -> None:
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        for tensor in norm.state_dict().values():
            tensor.add_(5)
    reinitialize(norm, 0)
    assert not differing(state(norm), state(nn.BatchNorm2d(3)))


def test_convolutions_are_what_pytorch_makes_them() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = nn.Conv2d(3, 4, 3)
    layer = nn.Conv2d(3, 4, 3)
    reinitialize(layer, 7)
    assert not differing(state(layer), state(expected))


def test_other_parameters_keep_their_mean_and_spread() -> None:
    net = Tokens()
    with torch.no_grad():
        net.positions = nn.Parameter(3 + 0.5 * torch.randn(1, 100, 40))
        net.token.fill_(2.0)
    before = state(net)
    reinitialize(net, 0)
    # The layers inside are not its own; a parameter whose values are all equal stays.
    assert differing(before, state(net)) == {"positions"}
    assert net.positions.mean().item() == pytest.approx(3, abs=0.05)
    assert net.positions.std().item() == pytest.approx(0.5, rel=0.05)
    assert (
        abs(np.corrcoef(net.positions.detach().flatten(), before["positions"].flatten())[0, 1])
        < 0.1
    )


def test_a_layer_does_not_reset_those_inside() -> None:
    class Reaching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.randn(4))
            self.inner = nn.Linear(4, 4)

        def reset_parameters(self) -> None:
            self.inner.reset_parameters()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x * self.scale)

    net = Reaching()
    (_, first, second) = (
        state(forgetful) for forgetful in CascadingRandomization(net, torch.rand(1, 4))
    )
    assert differing(state(net), first) == {"inner.weight", "inner.bias"}
    assert differing(first, second) == {"scale"}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize("kind", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weights_that_are_made_of_others_are_forgotten_too(kind: Any) -> None:
    net = nn.Sequential(kind(nn.Conv2d(3, 4, 3)), nn.Flatten(), kind(nn.Linear(3600, 2)))
    *_, forgetful = CascadingRandomization(net, IMAGES)
    assert differing(state(net), state(forgetful)) == set(net.state_dict())


def test_dtype_stays_and_inference_mode_does_not_matter() -> None:
    net = network("plain", torch.float64)
    with torch.inference_mode():
        *_, forgetful = CascadingRandomization(net, IMAGES.double(), stages=1)
    for parameter in forgetful.parameters():
        assert parameter.dtype == torch.float64 and not parameter.is_inference()


def test_depths() -> None:
    assert depths(10, None) == list(range(1, 11)) == depths(10, 99)
    assert depths(107, 8) == [1, 16, 31, 46, 62, 77, 92, 107]
    assert depths(5, 2) == [1, 5]


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (Backwards(), {"stages": 0}, ValueError, "stages must be an integer ≥ 1, got 0"),
        (Backwards(), {"seed": 0.5}, ValueError, "seed must be an integer"),
        (nn.Flatten(), {}, ValueError, "nothing to re-initialise"),
        (torch.sin, {}, TypeError, "needs an nn.Module"),
    ],
)
def test_errors(model: object, options: dict[str, object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        CascadingRandomization(model, IMAGES, **options)


def test_a_copy_is_what_forgets_even_if_the_loop_is_left() -> None:
    net = Backwards()
    before = state(deepcopy(net))
    for _ in CascadingRandomization(net, IMAGES):
        break
    assert not differing(before, state(net))
