"""Coverage, the share of Σ|f^b| on the image: by hand, from tensors, and within its bounds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import fullgrad_lightning as fgl
from fullgrad_lightning.saliency.fullgrad import FullGrad
from tests.decomposition.redrawn import images, redraw
from tests.saliency import naive
from tests.saliency.networks import NETWORKS, network


def test_by_hand() -> None:
    """Convolution, ReLU, linear: |g ⊙ b| on the map, against the bias of the explained class."""
    conv, linear = redraw(nn.Conv2d(3, 4, 3), 1), redraw(nn.Linear(4 * 5 * 6, 3), 2)
    model, x = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), linear), images(3, 3, 7, 8)
    target = torch.tensor([0, 2, 1])
    gradient = linear.weight[target].view(3, 4, 5, 6) * (conv(x) > 0)
    placed = (gradient * conv.bias[:, None, None]).abs().sum((1, 2, 3))
    expected = placed / (placed + linear.bias[target].abs())
    for sites in ("all", "bias"):
        coverage = FullGrad(sites=sites).coverage(model, x, target)
        assert coverage.dtype == torch.float64 and coverage.shape == (3,)
        torch.testing.assert_close(coverage, expected.detach(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("sites", ["all", "bias"])
@pytest.mark.parametrize("name", NETWORKS)
def test_as_the_tensors_say(name: str, sites: str) -> None:
    model, x = network(name), images(2, 3, 48, 64)
    total = torch.zeros(2, dtype=torch.float64)
    for b in fgl.full_gradients(model, x, 3).bias_gradients.values():
        total += b.values.abs().flatten(1).sum(1)
    if sites == "bias":
        layers = naive.explicit_terms(model, x, 3).bias_gradients
    else:
        layers = naive.all_bias_gradients(model, x, 3)
    placed = sum(y.abs().sum((1, 2, 3)) for y in layers if y.shape[2] * y.shape[3] > 1)
    coverage = FullGrad(sites=sites).coverage(model, x, 3)
    assert ((coverage > 0) & (coverage < 1)).all()
    torch.testing.assert_close(coverage, placed / total, rtol=1e-10, atol=0)
    alone = [FullGrad(sites=sites).coverage(model, x[i : i + 1], 3) for i in range(2)]
    torch.testing.assert_close(coverage, torch.cat(alone), rtol=1e-10, atol=0)


def test_one_where_every_bias_lies_on_the_image() -> None:
    model = redraw(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GELU())).eval()
    coverage = FullGrad().coverage(model, images(2, 3, 7, 8), lambda y: y[:, 0].mean((1, 2)))
    torch.testing.assert_close(coverage, torch.ones(2, dtype=torch.float64), rtol=1e-14, atol=0)


def test_one_where_there_are_no_biases() -> None:
    model = redraw(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU()))
    coverage = FullGrad().coverage(model, images(2, 3, 7, 8), lambda y: y.sum((1, 2, 3)))
    assert coverage.tolist() == [1, 1]


def test_zero_where_no_bias_lies_on_the_image() -> None:
    model = redraw(nn.Sequential(nn.Flatten(), nn.Linear(168, 6), nn.ReLU(), nn.Linear(6, 3)))
    assert FullGrad().coverage(model, images(2, 3, 7, 8)).tolist() == [0, 0]


def test_a_users_own_placement_counts() -> None:
    model, x = network("plain"), images(2, 3, 20, 24)
    nothing = FullGrad(placement=lambda site, values: None)
    assert nothing.coverage(model, x).tolist() == [0, 0]
    everything = FullGrad(placement=lambda site, values: values.reshape(2, 1, 1, -1))
    torch.testing.assert_close(
        everything.coverage(model, x), torch.ones(2, dtype=torch.float64), rtol=1e-12, atol=0
    )


class Shift(torch.autograd.Function):
    """y = x + 3, which no tracer can look into."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x + 3

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class WithShift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = redraw(nn.Conv2d(3, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return Shift.apply(self.conv(x))


def test_what_is_known_as_a_number_alone_is_not_covered() -> None:
    model, x = WithShift(), images(2, 3, 7, 8)
    coverage = FullGrad().coverage(model, x, lambda y: y.sum((1, 2, 3)))
    placed, shift = model.conv.bias.detach().abs().sum() * 30, 3 * 4 * 30
    expected = (placed / (placed + shift)).expand(2)
    torch.testing.assert_close(coverage, expected, rtol=1e-12, atol=0)
