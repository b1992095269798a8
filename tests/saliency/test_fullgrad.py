"""FullGrad around ψ: options of a user's own, any shape of input, the same map in any batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fullgrad_lightning as fgl
from fullgrad_lightning.decomposition import Site
from fullgrad_lightning.decomposition.bias_gradients import stream_bias_gradients
from fullgrad_lightning.decomposition.tracing.pending_bias import SampleAxisLost
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.map_accumulator import place_on_image
from fullgrad_lightning.saliency.postprocess import PRESETS
from tests.decomposition.redrawn import images, redraw
from tests.saliency import naive
from tests.saliency.networks import (
    CLASSES,
    NETWORKS,
    FullResolution,
    assert_near,
    network,
    plain,
)


class SquareRoot:
    """A ψ of a user's own: Σ_c √|z_c|."""

    def __init__(self, align_corners: bool | None = None) -> None:
        if align_corners is not None:
            self.align_corners = align_corners

    def __call__(self, values: Tensor) -> Tensor:
        return values.abs().sqrt().sum(1, keepdim=True)


@pytest.mark.parametrize("corners", [None, False, True])
@pytest.mark.parametrize("sites", ["all", "bias"])
def test_psi_of_a_users_own(sites: str, corners: bool | None) -> None:
    model, x = network("plain"), images(2, 3, 21, 30)
    saliency = FullGrad(SquareRoot(corners), sites=sites)(model, x)
    terms = naive.explicit_terms(model, x)
    expected = (terms.input_gradient * x).abs().sqrt().sum(1, keepdim=True)
    for layer in terms.bias_gradients:
        for i in range(layer.shape[1]):
            one = layer[:, i : i + 1].abs().sqrt()
            expected = expected + F.interpolate(
                one, (21, 30), mode="bilinear", align_corners=bool(corners)
            )
    assert_near(saliency, expected, 1e-9)


def test_psi_of_a_users_own_gets_single_precision_at_least() -> None:
    seen: list[torch.dtype] = []

    def psi(values: Tensor) -> Tensor:
        seen.append(values.dtype)
        return values.sum(1, keepdim=True)

    FullGrad(psi)(network("plain", torch.bfloat16), images(1, 3, 20, 20).bfloat16())
    assert len(seen) == 4 and set(seen) == {torch.float32}


@pytest.mark.parametrize(
    ("psi", "returned"),
    [
        (lambda values: values, "(2, 3, 20, 24)|(2, 8"),
        (lambda values: values.sum(1), "(2, 5, 6)"),
        (lambda values: values.sum((2, 3), keepdim=True), "(2, 8, 1, 1)"),
        (lambda values: None, "NoneType"),
    ],
)
def test_psi_that_returns_another_shape_is_refused(
    psi: Callable[[Tensor], Tensor], returned: str
) -> None:
    with pytest.raises(
        ValueError, match=r"postprocess must turn .*\(N, 1, h, w\).*sum\(1"
    ) as error:
        FullGrad(psi)(network("plain"), images(2, 3, 20, 24))
    assert any(part in str(error.value) for part in returned.split("|"))


def test_placement_of_a_users_own() -> None:
    """Biases of the first convolution alone, mirrored; those of a linear map on a chosen grid."""
    model, x = network("plain"), images(2, 3, 20, 24)
    fg = fgl.full_gradients(model, x)

    def place(site: Site, values: Tensor) -> Tensor | None:
        if site.name == "0":
            return values.flip(3)
        return values.view(-1, 1, 4, 4) if site.name == "10" else None

    saliency = FullGrad("signed", placement=place)(model, x)
    expected = (fg.input_gradient * x).sum(1, keepdim=True)
    expected = expected + fg.bias_gradients["0"].values.flip(3).sum(1, keepdim=True)
    grid = fg.bias_gradients["10"].values.view(2, 1, 4, 4)
    expected = expected + F.interpolate(grid, (20, 24), mode="bilinear", align_corners=False)
    assert_near(saliency, expected, 1e-10)


def test_default_placement_can_be_called_by_a_users_own() -> None:
    model, x = network("residual"), images(2, 3, 48, 64)
    for preset in ("paper", "abs"):
        saliency = FullGrad(preset, placement=place_on_image)(model, x)
        assert_near(saliency, FullGrad(preset)(model, x), 1e-10)


@pytest.mark.parametrize("shape", [(2, 5, 6), (4, 2, 5, 6)])
def test_placement_that_returns_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    method = FullGrad(placement=lambda site, values: torch.zeros(shape))
    with pytest.raises(ValueError, match=r"placement must return \(N, C, h, w\) with N=2.*site"):
        method(network("plain"), images(2, 3, 20, 24))


@pytest.mark.parametrize(
    ("error", "match", "options"),
    [
        (ValueError, "postprocess must be one of paper.*'papr'", {"postprocess": "papr"}),
        (TypeError, "postprocess .* callable.*int", {"postprocess": 3}),
        (ValueError, "sites must be one of .*'conv'", {"sites": "conv"}),
        (ValueError, "interpolation must be one of .*'nearest'", {"interpolation": "nearest"}),
        (ValueError, "multiply_by_input must be one of .*'yes'", {"multiply_by_input": "yes"}),
        (TypeError, "placement must be a callable", {"placement": "tokens"}),
    ],
)
def test_options_are_checked_in_the_constructor(
    error: type[Exception], match: str, options: dict[str, object]
) -> None:
    with pytest.raises(error, match=match):
        FullGrad(**options)


def test_only_images_are_taken() -> None:
    model = redraw(nn.Linear(6, 4))
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), got \(3, 6\)"):
        FullGrad()(model, images(3, 6))


@pytest.mark.parametrize(("height", "width"), [(9, 12), (7, 7)])
def test_without_psi_map_and_unplaced_terms_sum_to_f(height: int, width: int) -> None:
    """Proposition 1 denies it to maps with a ψ; "signed" has none."""
    model, x = FullResolution(height, width), images(3, 3, height, width)
    fg = fgl.full_gradients(model, x)
    unplaced = [fg.bias_terms[name] for name, b in fg.bias_gradients.items() if b.spatial is None]
    assert len(unplaced) == 1 and unplaced[0].abs().min() > 1e-6
    saliency = FullGrad("signed", sites="all")(model, x).sum((1, 2, 3)) + unplaced[0]
    expected = model(x).amax(1)
    torch.testing.assert_close(saliency, expected, rtol=1e-10, atol=1e-10)
    left_out = FullGrad("signed", sites="bias")(model, x).sum((1, 2, 3)) + unplaced[0]
    assert (left_out - expected).abs().min() > 1e-6  # the SiLU


@pytest.mark.parametrize("name", ["plain", "residual", "dense"])
@pytest.mark.parametrize("preset", ["paper", "abs", "signed"])
def test_all_sites_are_the_explicit_ones_on_relu_networks(name: str, preset: str) -> None:
    model, x = network(name), images(2, 3, 48, 64)
    whole = FullGrad(preset, sites="all")(model, x)
    assert_near(whole, FullGrad(preset, sites="bias")(model, x), 1e-12)


def test_all_sites_are_more_where_non_linearities_have_biases() -> None:
    model, x = network("mobile"), images(2, 3, 48, 64)
    whole = FullGrad("abs", sites="all")(model, x)
    assert (whole - FullGrad("abs", sites="bias")(model, x)).abs().max() > 0.01 * whole.max()


@pytest.mark.parametrize("channels", [1, 13])
@pytest.mark.parametrize("preset", PRESETS)
def test_any_number_of_channels(channels: int, preset: str) -> None:
    model, x = redraw(plain(channels)).eval(), images(2, channels, 22, 31)
    saliency = FullGrad(preset)(model, x)
    assert saliency.shape == (2, 1, 22, 31)
    assert_near(saliency, naive.fullgrad(preset, model, x), 1e-9)


@pytest.mark.parametrize("sites", ["all", "bias"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["64", "32"]
)
def test_each_sample_is_the_same_alone(
    name: str, sites: str, dtype: torch.dtype, tolerance: float
) -> None:
    model, x = network(name, dtype), images(3, 3, 33, 40).to(dtype)
    target = torch.tensor([4, 0, 2])
    for preset in ("paper", "idiap"):
        method = FullGrad(preset, sites=sites)
        together = method(model, x, target)
        alone = [method(model, x[i : i + 1], int(target[i])) for i in range(3)]
        assert_near(together, torch.cat(alone), tolerance)


def test_batch_with_different_targets_explains_each_with_its_own() -> None:
    model, x = network("residual"), images(1, 3, 48, 64).expand(CLASSES, 3, 48, 64)
    saliency = FullGrad()(model, x, torch.arange(CLASSES))
    for i in range(CLASSES):
        assert_near(saliency[i : i + 1], naive.fullgrad("paper", model, x[:1], i), 1e-9)
    assert (saliency[0] - saliency[1]).abs().max() > 1e-3 * saliency.max()


def test_samples_that_cannot_be_followed_are_explained_one_by_one() -> None:
    model, x = Scrambled().eval(), images(3, 3, 12, 10)
    with pytest.raises(SampleAxisLost):
        stream_bias_gradients(model, x, 0, FullGrad().make_accumulator(3))
    expected = torch.cat([FullGrad()(model, x[i : i + 1], i) for i in range(3)])
    assert_near(FullGrad()(model, x, torch.arange(3)), expected, 1e-12)


class Scrambled(nn.Module):
    """Sends the batch through an index, by which the samples are lost sight of."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.next = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4 * 80, CLASSES)
        redraw(self)

    def forward(self, x: Tensor) -> Tensor:
        order = torch.arange(len(x)).flip(0)
        y = self.next(self.stem(x).relu()[order]).relu()
        return self.head(y[order].flatten(1))


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
    ids=str,
)
def test_dtype_of_maps(given: torch.dtype, returned: torch.dtype) -> None:
    model, x = network("plain", given), images(2, 3, 20, 24).to(given)
    for preset in PRESETS:
        saliency = FullGrad(preset)(model, x, 1)
        assert saliency.dtype == returned and not saliency.requires_grad
        if given == torch.bfloat16:
            exact = FullGrad(preset)(network("plain"), x.double(), 1)
            assert (
                torch.corrcoef(torch.stack([saliency.flatten().double(), exact.flatten()]))[0, 1]
                > 0.9
            )
