"""Operations that move, join, sample and transform: exact, and mostly without any bias."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d, ps_roi_align, roi_align, roi_pool, stochastic_depth

from tests.decomposition.exact import Around, assert_around_exact, inside_middle
from tests.decomposition.redrawn import images

ORDER = torch.tensor([3, 0, 2, 1])


def boxes(n: int) -> Tensor:
    own = torch.tensor([[0.0, 0.5, 1.0, 4.5, 5.0], [0.0, 0.0, 0.0, 3.0, 2.0]]).double()
    return torch.cat([own + i * torch.tensor([1, 0, 0, 0, 0]) for i in range(n)])


def pooled(rois: Tensor, n: int) -> Tensor:
    return rois.reshape(n, -1)


def constant_grid(n: int) -> Tensor:
    return images(1, 4, 4, 2, seed=6).tanh().expand(n, -1, -1, -1)


def spatial_transformer(z: Tensor) -> Tensor:
    """The grid depends on the image too."""
    theta = 0.5 * torch.eye(2, 3, dtype=z.dtype) + 0.1 * z[:, 0, :2, :3].tanh()
    grid = F.affine_grid(theta, [len(z), 4, 5, 5], align_corners=False)
    return F.grid_sample(z, grid, align_corners=False)


def scattered(z: Tensor) -> Tensor:
    index = torch.tensor([[1, 0, 2, 3, 5, 4]]).expand(*z.shape[:3], -1)
    return z.scatter(3, index, z.exp()).scatter_add(3, index, z)


# Each is linear, or positively homogeneous of degree one: no site at all.
WITHOUT_BIAS = {
    "interpolate nearest": lambda z: F.interpolate(z, scale_factor=2),
    "interpolate bilinear": lambda z: F.interpolate(z, (9, 5), mode="bilinear"),
    "interpolate bicubic": lambda z: F.interpolate(z, (9, 5), mode="bicubic", align_corners=True),
    "interpolate antialias": lambda z: F.interpolate(z, (3, 4), mode="bilinear", antialias=True),
    "interpolate area": lambda z: F.interpolate(z, (3, 4), mode="area"),
    "grid_sample": lambda z: F.grid_sample(z, constant_grid(len(z)), align_corners=False),
    "pixel_shuffle": lambda z: F.pixel_shuffle(z, 2),
    "pixel_unshuffle": lambda z: F.pixel_unshuffle(z, 3),
    "channel_shuffle": lambda z: F.channel_shuffle(z, 2),
    "space to depth": lambda z: torch.cat([z[..., ::2, ::2], z[..., 1::2, ::2]], 1),
    "fft round trip": lambda z: torch.fft.ifft2(torch.fft.fft2(z)).real,
    "rfft round trip": lambda z: torch.fft.irfft2(torch.fft.rfft2(z, norm="ortho"), norm="ortho"),
    "spectral filter": lambda z: torch.fft.irfft2(
        torch.fft.rfft2(z) * torch.complex(images(6, 4), images(6, 4, seed=2)), s=(6, 6)
    ),
    "real and imaginary": lambda z: torch.view_as_real(torch.fft.fft(z)).flatten(-2),
    "einsum with a constant": lambda z: torch.einsum("nchw,cd->ndhw", z, images(4, 5)),
    "gather": lambda z: z.gather(1, ORDER[None, :2, None, None].expand(len(z), -1, 6, 6)),
    "index": lambda z: z[:, ORDER],
    "index_select": lambda z: z.index_select(1, ORDER),
    "cumsum": lambda z: z.cumsum(2),
    "max over a dimension": lambda z: z.max(1).values + z.min(1).values,
    "amax and mean": lambda z: torch.stack([z.amax(1), z.mean(1), z.amin(1)], 1),
    "maximum": lambda z: torch.maximum(z, z.flip(3)),
    "median and sort": lambda z: z.sort(1).values + z.median(1, keepdim=True).values,
    "norm": lambda z: z.std(1),
    "unfold": lambda z: F.fold(F.unfold(z, 3), (6, 6), 3),
    "windows": lambda z: z.unfold(2, 3, 2).unfold(3, 3, 2).mean((-1, -2)),
    "roll and flip": lambda z: z.roll((1, 2), (2, 3)).flip(3).rot90(1, (2, 3)),
    "reflection pad": lambda z: F.pad(z, (1, 2, 1, 0), "reflect"),
    "zero pad": lambda z: F.pad(z, (1, 2, -1, 0)),
    "pools": lambda z: F.avg_pool2d(z, 3, 1, 1) + F.max_pool2d(z, 3, 1, 1),
    "adaptive pools": lambda z: F.adaptive_avg_pool2d(z, 4) + F.adaptive_max_pool2d(z, 4),
    "max unpool": lambda z: F.max_unpool2d(*F.max_pool2d(z, 2, return_indices=True), 2),
    "repeat": lambda z: z.repeat(1, 2, 1, 1).repeat_interleave(2, 2),
    "where": lambda z: torch.where(z > 0, z, 0.1 * z),
    "roi_align": lambda z: pooled(roi_align(z, boxes(len(z)), 2, sampling_ratio=2), len(z)),
    "roi_pool": lambda z: pooled(roi_pool(z, boxes(len(z)), 2), len(z)),
    "ps_roi_align": lambda z: pooled(ps_roi_align(z, boxes(len(z)), 2), len(z)),
    "stochastic depth": lambda z: stochastic_depth(z, 0.9, "row", training=False),
}

WITH_BIAS = {
    "constant pad": lambda z: F.pad(z, (1, 1, 2, 0), value=-1.5),
    "constant pad module": nn.ConstantPad2d(1, 0.7),
    "clamp": lambda z: z.clamp(-0.5, 1) + z.clamp(min=0.2) + z.clip(max=torch.tensor(0.1)),
    "where with a constant": lambda z: torch.where(z > 0, z, 2.0),
    "where with a tensor": lambda z: torch.where(z > 0, images(4, 6, 6), z),
    "maximum with a constant": lambda z: torch.maximum(z, images(4, 6, 6)),
    "normalize": lambda z: F.normalize(z, dim=1),
    "p-norm": lambda z: (1 + z.square().sum(1)).log() * z.norm(3, 1),
    "einsum of activations": lambda z: torch.einsum("nchw,ndhw->ncd", z, z.tanh()),
    "einsum of three": lambda z: torch.einsum("nchw,nchv,nchu->nwvu", z, z.tanh(), z),
    "cumprod": lambda z: z.cumprod(3),
    "logsumexp": lambda z: z.logsumexp(1),
    "spatial transformer": spatial_transformer,
    "power spectrum": lambda z: torch.fft.rfft2(z).abs().square().log1p(),
    "complex product": lambda z: torch.fft.ifft2(torch.fft.fft2(z) * torch.fft.fft2(z.tanh())).real,
    "phase": lambda z: torch.polar(z.exp(), z).imag,
    "scatter": scattered,
    "bilinear pooling": lambda z: torch.bmm(z.flatten(2), z.flatten(2).mT).tanh(),
    "distances": lambda z: torch.cdist(z.flatten(2), images(7, 36)),
    "cosine similarity": lambda z: F.cosine_similarity(z, images(1, 4, 6, 6, seed=3)),
    "variance": lambda z: z.var(1) + z.var((2, 3), keepdim=True)[:, 0],
    "transposed convolution": nn.ConvTranspose2d(4, 5, 3, stride=2),
    "grouped, dilated, circular": nn.Conv2d(4, 6, 2, dilation=2, groups=2, padding_mode="circular"),
    "log-add-exp": lambda z: torch.logaddexp(z, z.flip(1)),
    "lerp and addcmul": lambda z: z.lerp(z.exp(), 0.3).addcmul(z, z.tanh(), value=2),
    "quantile": lambda z: z.square().quantile(0.3, dim=1),
}  # fmt: skip
# Neither forward-mode nor double backward there; exact all the same, but as one number per sample.
NO_FORMULA_IN_TORCH_2_11 = {"spatial transformer", "distances"}


@pytest.mark.parametrize("name", WITHOUT_BIAS)
def test_linear_movements_have_no_bias(name: str) -> None:
    x = images()
    fg = assert_around_exact(Around(WITHOUT_BIAS[name], x), x)
    assert set(fg.sites) == {"stem", "head"} or not torch.as_tensor(inside_middle(fg)).any()


@pytest.mark.parametrize("name", WITH_BIAS)
def test_exact_with_bias(name: str) -> None:
    x = images()
    not_localized = None if name in NO_FORMULA_IN_TORCH_2_11 else False
    fg = assert_around_exact(Around(WITH_BIAS[name], x), x, not_localized=not_localized)
    assert any(name.startswith("middle") for name in fg.sites)


def test_constant_padding_is_its_own_bias() -> None:
    x = images()
    net = Around(nn.ConstantPad2d((1, 2, 0, 1), -1.5), x)
    fg = assert_around_exact(net, x)
    frame = F.pad(torch.zeros(3, 4, 6, 6), (1, 2, 0, 1), value=-1.5).double()
    expected = net.gradient_at_middle(x) * frame
    torch.testing.assert_close(inside_middle(fg), expected, rtol=1e-12, atol=1e-13)


def test_clamp_has_its_bounds_as_bias() -> None:
    x = images()
    net = Around(lambda z: z.clamp(-0.5, 1), x)
    fg = assert_around_exact(net, x)
    with torch.no_grad():
        z = net.stem(x)
        expected = net.gradient_at_middle(x) * (1.0 * (z > 1) - 0.5 * (z < -0.5))
    torch.testing.assert_close(inside_middle(fg), expected, rtol=1e-12, atol=1e-13)


def test_deformable_convolution_with_constant_offsets_has_the_convolutions_bias() -> None:
    weight, bias = images(5, 4, 3, 3, seed=3), images(1, 5, seed=4)[0]
    x = images()
    offset = images(1, 18, 4, 4, seed=5)
    net = Around(lambda z: deform_conv2d(z, offset.repeat(len(z), 1, 1, 1), weight, bias), x)
    fg = assert_around_exact(net, x, not_localized=None)
    expected = (net.gradient_at_middle(x) * bias[:, None, None]).flatten(1).sum(1)
    terms = [term for name, term in fg.bias_terms.items() if name.startswith("middle")]
    torch.testing.assert_close(sum(terms), expected, rtol=1e-9, atol=1e-10)
