"""Compiled modules are decomposed as if they were not, and stay compiled."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import images, redraw

pytestmark = [
    pytest.mark.xdist_group("compiled"),  # inductor's C++ builds, one after the other
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GELU()
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.bn(self.conv(x))).flatten(1))


def assert_same_budget(compiled: nn.Module, plain: nn.Module) -> None:
    got, expected = (fgl.attribution_budget(net, images(), 1) for net in (compiled, plain))
    assert list(got.sites.items()) == list(expected.sites.items())
    for name, term in expected.bias_terms.items():
        assert torch.equal(got.bias_terms[name], term)


@pytest.mark.parametrize("how", ["wrapped", "in place", "a submodule"])
def test_inductor(how: str) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, net, x = redraw(Network()).eval(), redraw(Network()).eval(), images()
    if how == "wrapped":
        net = torch.compile(net)
    elif how == "in place":
        net.compile()
    else:
        net.act = torch.compile(net.act)
    assert_same_budget(net, plain)  # before its first call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's own making
        compiled_output = net(x)
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert compiled > 0
    assert_same_budget(net, plain)
    torch.testing.assert_close(net(x), compiled_output, rtol=0, atol=0)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compiled, "compiled again"
    torch.testing.assert_close(compiled_output, plain(x))


def test_a_compiled_function_inside_the_model() -> None:
    torch._dynamo.reset()
    gate = torch.compile(lambda x: x * torch.sigmoid(x))
    net = redraw(Network()).eval()
    budget = fgl.attribution_budget(lambda x: gate(net(x)), images(), 0)
    assert {"sigmoid", "mul"} <= {site.op for site in budget.sites.values()}
    assert budget.relative_residual.max() <= 1e-12
