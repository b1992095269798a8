"""Normalisations, with random statistics and an ε that counts, against their closed forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fullgrad_lightning as fgl
from tests.decomposition.exact import Around, assert_around_exact, assert_exact, inside_middle
from tests.decomposition.redrawn import images, redraw

EPS = 0.1
STEMS: dict[int, Callable[[], nn.Module]] = {
    2: lambda: nn.Linear(6, 4),
    3: lambda: nn.Conv1d(3, 4, 3, padding=1),
    4: lambda: nn.Conv2d(3, 4, 3, padding=1),
    5: lambda: nn.Conv3d(3, 4, 3, padding=1),
}
SHAPES = {2: (6,), 3: (3, 6), 4: (3, 6, 6), 5: (3, 2, 4, 4)}


def per_channel(values: Tensor, ndim: int) -> Tensor:
    return values.reshape(-1, *[1] * (ndim - 2))


FROM_RUNNING_STATISTICS = {
    "1d of vectors": (2, nn.BatchNorm1d(4)),
    "1d": (3, nn.BatchNorm1d(4, EPS)),
    "2d": (4, nn.BatchNorm2d(4, EPS)),
    "2d without affine": (4, nn.BatchNorm2d(4, affine=False)),
    "3d": (5, nn.BatchNorm3d(4)),
    "3d without affine": (5, nn.BatchNorm3d(4, affine=False)),
    "sync": (4, nn.SyncBatchNorm(4)),
    "sync of vectors": (2, nn.SyncBatchNorm(4)),
    "instance norm with running statistics": (
        4,
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    ),
}


@pytest.mark.parametrize("name", FROM_RUNNING_STATISTICS)
def test_batch_norm_has_beta_minus_gamma_mu_over_sigma(name: str) -> None:
    ndim, norm = FROM_RUNNING_STATISTICS[name]
    x = images(3, *SHAPES[ndim])
    net = Around(norm, x, STEMS[ndim]())
    fg = assert_around_exact(net, x)
    gamma = 1 if norm.weight is None else norm.weight.detach()
    beta = 0 if norm.bias is None else norm.bias.detach()
    bias = beta - gamma * norm.running_mean / torch.sqrt(norm.running_var + norm.eps)
    expected = net.gradient_at_middle(x) * per_channel(bias, ndim)
    assert fg.sites["middle"].kind == "normalization"
    torch.testing.assert_close(inside_middle(fg), expected, rtol=1e-10, atol=1e-12)


def _standardised(z: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """ẑ and σ²/(σ² + ε), the share of the normalisation's bias: (1 − ε/s²)·ẑ."""
    variance, mean = torch.var_mean(z, dims, correction=0, keepdim=True)
    return (z - mean) / torch.sqrt(variance + EPS), variance / (variance + EPS)


def _layer_norm(norm: nn.LayerNorm, z: Tensor) -> Tensor:
    normal, share = _standardised(z, tuple(range(-len(norm.normalized_shape), 0)))
    return norm.bias + norm.weight * normal * share


def _group_norm(norm: nn.GroupNorm, z: Tensor) -> Tensor:
    groups = z.reshape(z.shape[0], norm.num_groups, -1)
    normal, share = _standardised(groups, (2,))
    gamma, beta = (per_channel(p, z.ndim) for p in (norm.weight, norm.bias))
    return beta + gamma * (normal * share).reshape(z.shape)


def _instance_norm(norm: nn.InstanceNorm2d, z: Tensor) -> Tensor:
    normal, share = _standardised(z, (2, 3))
    if norm.weight is None:
        return normal * share
    return per_channel(norm.bias, 4) + per_channel(norm.weight, 4) * normal * share


def _rms_norm(norm: nn.RMSNorm, z: Tensor) -> Tensor:
    square = z.square().mean(-1, keepdim=True)
    return norm.weight * z / torch.sqrt(square + EPS) * square / (square + EPS)


def _local_response(norm: nn.LocalResponseNorm, z: Tensor) -> Tensor:
    padded = F.pad(z.square(), (0, 0, 0, 0, 1, 1))
    mean = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    d = norm.k + norm.alpha * mean
    return 2 * norm.alpha * norm.beta * mean * z * d ** (-norm.beta - 1)


FROM_THE_SAMPLE = {
    "layer": (nn.LayerNorm(6, EPS), _layer_norm),
    "layer over three dimensions": (nn.LayerNorm((4, 6, 6), EPS), _layer_norm),
    "group": (nn.GroupNorm(2, 4, EPS), _group_norm),
    "instance": (nn.InstanceNorm2d(4, EPS), _instance_norm),
    "instance with affine": (nn.InstanceNorm2d(4, EPS, affine=True), _instance_norm),
    "rms": (nn.RMSNorm(6, EPS), _rms_norm),
    "local response": (nn.LocalResponseNorm(3, alpha=0.5, k=0.7), _local_response),
    "normalize": (lambda z: F.normalize(z, dim=1), lambda _, z: F.normalize(z, dim=1)),
}


@pytest.mark.parametrize("name", FROM_THE_SAMPLE)
def test_a_norm_of_the_sample_has_its_closed_form(name: str) -> None:
    norm, bias = FROM_THE_SAMPLE[name]
    x = images()
    net = Around(norm, x)
    fg = assert_around_exact(net, x)
    with torch.no_grad():
        expected = net.gradient_at_middle(x) * bias(norm, net.stem(x))
    torch.testing.assert_close(inside_middle(fg), expected, rtol=1e-9, atol=1e-12)
    kinds = {site.kind for name, site in fg.sites.items() if name.startswith("middle")}
    assert kinds == {"normalization"}


def test_a_hand_written_layer_norm_is_exact() -> None:
    def norm(z: Tensor) -> Tensor:
        mean = z.mean(1, keepdim=True)
        variance = z.var(1, keepdim=True, unbiased=False)
        return (z - mean) / torch.sqrt(variance + EPS) + (z - mean) / (z.std(1, keepdim=True) + EPS)

    x = images()
    assert_around_exact(Around(norm, x), x)


REPARAMETRISED = {
    "weight norm": torch.nn.utils.parametrizations.weight_norm,
    "weight norm, old": torch.nn.utils.weight_norm,
    "spectral norm": torch.nn.utils.parametrizations.spectral_norm,
    "spectral norm, old": torch.nn.utils.spectral_norm,
    "orthogonal": torch.nn.utils.parametrizations.orthogonal,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("name", REPARAMETRISED)
def test_a_reparametrised_weight_is_a_constant(name: str) -> None:
    """Only the layer's own bias is a site, and it is ⟨g, b⟩."""
    x = images()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layer = REPARAMETRISED[name](redraw(nn.Conv2d(4, 5, 3)))
        for _ in range(5):  # spectral norm estimates its singular vectors while training
            layer.train()(images(1, 4, 6, 6))
    net = Around(layer, x)
    if "spectral" in name:  # redrawn weights, old singular vectors: estimate anew
        with torch.no_grad():
            for _ in range(20):
                layer.train()(images(1, 4, 6, 6))
        layer.eval()
    fg = assert_around_exact(net, x)
    assert [site.kind for site in fg.sites.values()] == ["parameter"] * 3
    expected = net.gradient_at_middle(x) * layer.bias.detach()[:, None, None]
    torch.testing.assert_close(inside_middle(fg), expected, rtol=1e-10, atol=1e-12)


def test_a_reparametrised_layer_keeps_its_name() -> None:
    x = images()
    net = Around(torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 5, 3)), x)
    assert list(fgl.full_gradients(net, x).sites) == ["stem", "middle", "head"]


@pytest.mark.parametrize("affine", [True, False])
def test_one_sample_with_an_odd_strided_gradient_into_batch_norm(affine: bool) -> None:
    """PyTorch's own input gradient is wrong here; an affine map written by hand is right.

    A reshape after attention sends a channels-last gradient with a degenerate batch stride.
    """
    channels, side = 8, 4
    norm = redraw(nn.BatchNorm2d(channels, affine=affine)).eval()
    head = images(5, channels * side * side, seed=2)
    scale = torch.rsqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean * scale
    if affine:
        scale, shift = scale * norm.weight.detach(), shift * norm.weight + norm.bias
    strides = []

    def net(x: Tensor, normalise: Callable[[Tensor], Tensor] = norm) -> Tensor:
        z = normalise(x)
        if z.requires_grad:
            z.register_hook(lambda gradient: strides.append(gradient.stride()))
        tokens = z.reshape(1, channels, side * side).permute(0, 2, 1).contiguous()
        return (tokens * tokens).reshape(1, -1) @ head.T

    def by_hand(x: Tensor) -> Tensor:
        return torch.einsum("nchw,c->nchw", x, scale) + shift.detach()[:, None, None]

    x = images(1, channels, side, side)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf, by_hand)[:, 3].sum(), leaf)
    fg = fgl.full_gradients(net, x, target=3)
    assert (channels, 1, side * channels, channels) in strides
    torch.testing.assert_close(fg.input_gradient, gradient, rtol=1e-10, atol=1e-12)
    assert fg.relative_residual.item() <= 1e-12


def test_the_term_of_batch_norm_is_what_autograd_tells_of_its_beta() -> None:
    """⟨∂f/∂β, β − γμ/σ⟩, sample by sample, in the middle of a network."""
    net = redraw(
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
        )
    ).eval()
    x = images()
    fg = assert_exact(net, x)
    norm = net[1]
    bias = norm.bias - norm.weight * norm.running_mean / torch.sqrt(norm.running_var + norm.eps)
    for i in range(len(x)):
        (beta,) = torch.autograd.grad(net(x[i : i + 1]).max(), norm.bias)
        torch.testing.assert_close(fg.bias_terms["1"][i], (beta * bias).sum().detach())
