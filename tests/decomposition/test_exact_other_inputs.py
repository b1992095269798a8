"""Inputs that are no images: vectors, sequences, video, dense outputs, and any kind of target."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.decomposition.exact import Around, assert_around_exact, assert_exact
from tests.decomposition.redrawn import images, redraw


class Recurrent(nn.Module):
    """The last state, or all of them, of a recurrent network; the rest is left unused."""

    def __init__(self, kind: type[nn.RNNBase], output: str, **options: object) -> None:
        super().__init__()
        self.net = kind(4, 5, batch_first=True, **options)
        self.output = output

    def forward(self, z: Tensor) -> Tensor:
        y, last = self.net(z)
        hidden = last[0] if isinstance(last, tuple) else last
        return {"all": y, "hidden": hidden.transpose(0, 1), "last": y[:, -1]}[self.output]


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTMCell(4, 5), nn.GRUCell(5, 5)

    def forward(self, z: Tensor) -> Tensor:
        state, hidden = None, z.new_zeros(len(z), 5)
        for t in range(z.shape[1]):
            state = self.lstm(z[:, t], state)
            hidden = self.gru(state[0], hidden)
        return torch.cat([hidden, state[1]], 1)


RECURRENT = {
    "lstm, all": lambda: Recurrent(nn.LSTM, "all"),
    "lstm, last": lambda: Recurrent(nn.LSTM, "last"),
    "lstm, hidden state": lambda: Recurrent(nn.LSTM, "hidden", num_layers=2, dropout=0.5),
    "lstm, bidirectional": lambda: Recurrent(nn.LSTM, "all", bidirectional=True),
    "lstm, projected": lambda: Recurrent(nn.LSTM, "all", proj_size=3),
    "gru, all": lambda: Recurrent(nn.GRU, "all", num_layers=2),
    "gru, hidden state": lambda: Recurrent(nn.GRU, "hidden", bidirectional=True),
    "elman": lambda: Recurrent(nn.RNN, "all", nonlinearity="relu"),
    "cells": Cells,
}


@pytest.mark.parametrize("steps", [3, 6], ids=["T = N", "T ≠ N"])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_networks(name: str, steps: int) -> None:
    x = images(3, steps, 2)
    assert_around_exact(Around(RECURRENT[name](), x, nn.Linear(2, 4)), x)


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm1d(4), nn.GroupNorm(2, 4), nn.Identity()], ids=lambda m: type(m).__name__
)
def test_one_dimensional_networks(norm: nn.Module) -> None:
    middle = nn.Sequential(
        norm, nn.GELU(), nn.ConvTranspose1d(4, 6, 3, 2), nn.MaxPool1d(2), nn.GLU(1), nn.AvgPool1d(2)
    )
    x = images(3, 2, 12)
    assert_around_exact(Around(middle, x, nn.Conv1d(2, 4, 3)), x)


def test_video_networks() -> None:
    middle = nn.Sequential(
        nn.BatchNorm3d(4), nn.ReLU6(inplace=True), nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0)),
        nn.Hardswish(inplace=True), nn.MaxPool3d(2, padding=1), nn.AdaptiveAvgPool3d(1),
    )  # fmt: skip
    x = images(3, 2, 3, 6, 6)
    assert_around_exact(Around(middle, x, nn.Conv3d(2, 4, 3, padding=1)), x)


def test_frames_folded_into_the_batch() -> None:
    """(N, T, C, H, W) as (N·T, C, H, W): three samples of three frames."""

    class PerFrame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)

        def forward(self, z: Tensor) -> Tensor:
            frames = F.silu(self.norm(self.conv(z.flatten(0, 1))))
            return frames.unflatten(0, z.shape[:2]).mean((1, 3, 4)).tanh()

    assert_exact(redraw(PerFrame()).eval(), images(3, 3, 2, 5, 5))


@pytest.mark.parametrize("width", [3, 4])
def test_vectors(width: int) -> None:
    """(N, C), where C may equal N."""
    middle = nn.Sequential(nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 3), nn.Softplus())
    x = images(3, width)
    assert_around_exact(Around(middle, x, nn.Linear(width, width)), x)


class Segmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.norm = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6)
        self.up, self.aux = nn.ConvTranspose2d(6, 4, 2, 2), nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        low = F.elu(self.norm(self.down(x)), inplace=True)
        upsampled = F.interpolate(low, scale_factor=2, mode="bilinear")
        return {"out": self.up(low) + upsampled[:, :4], "aux": self.aux(low)}


def mean_of_one_class(out: dict[str, Tensor]) -> Tensor:
    return out["out"][:, 1].mean((1, 2))


def log_probability_inside(out: dict[str, Tensor]) -> Tensor:
    inside = (out["out"].argmax(1) == 2).double()
    return (out["out"].log_softmax(1)[:, 2] * inside).sum((1, 2)) + 0.5


def both_heads(out: dict[str, Tensor]) -> Tensor:
    return out["out"].logsumexp((1, 2, 3)) * out["aux"].square().sum((1, 2, 3)).sqrt()


@pytest.mark.parametrize("target", [mean_of_one_class, log_probability_inside, both_heads])
def test_segmentation_with_a_callable_target(target: object) -> None:
    fg = assert_exact(redraw(Segmenter()).eval(), images(), target)
    own = {name for name in fg.sites if name.startswith("target.")}
    assert bool(own) == (target is not mean_of_one_class), "biases of the target are sites too"


def test_the_targets_own_biases_are_counted() -> None:
    """f = 3 − z²: a bias of 3, and of +z² from the square, beside those of the network."""
    net = redraw(nn.Linear(4, 1)).eval()
    x = images(3, 4)
    fg = assert_exact(net, x, lambda out: 3 - out[:, 0] ** 2)
    z = net(x)[:, 0].detach()
    torch.testing.assert_close(fg.bias_terms["target.pow"], z**2)
    torch.testing.assert_close(fg.bias_terms["target.rsub"], torch.full((3,), 3.0).double())
    torch.testing.assert_close(fg.bias_terms["linear"], (-2 * z * net.bias).detach())


TARGETS = [None, 2, torch.tensor([4, 0, 2]), torch.tensor([1, 1, 3], dtype=torch.int32),
           lambda out: out[:, 1], lambda out: out.softmax(1)[:, 2], lambda out: out.max(1).values,
           lambda out: F.nll_loss(out.log_softmax(1), torch.zeros(len(out)).long(),
                                  reduction="none")]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
def test_targets(target: object) -> None:
    x = images()
    net = Around(nn.GELU(), x)
    fg = assert_exact(net, x, target)
    if not callable(target) or isinstance(target, Tensor):
        index = net(x).argmax(1) if target is None else torch.as_tensor(target).expand(3).long()
        torch.testing.assert_close(fg.output, net(x).detach()[torch.arange(3), index])


@pytest.mark.parametrize(
    "target", [None, 0, lambda out: out[:, 0], lambda out: out.sigmoid()[:, 0]]
)
def test_a_single_logit(target: object) -> None:
    """(N, 1), as binary classifiers and regressors return."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Mish(), nn.Flatten(), nn.Linear(64, 1))
    assert_exact(redraw(net).eval(), images(), target)


def test_an_output_of_n_numbers_with_a_callable_target() -> None:
    net = redraw(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid(), nn.Flatten(0))).eval()
    assert_exact(net, images(3, 4), lambda out: out)
