"""SimpleFullGrad and SmoothFullGrad against their naive versions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.fullgrad_variants import SimpleFullGrad, SmoothFullGrad
from fullgrad_lightning.saliency.noise import gaussian_noise
from fullgrad_lightning.saliency.postprocess import PRESETS
from tests.decomposition.redrawn import images, redraw
from tests.saliency import naive
from tests.saliency.networks import NETWORKS, assert_near, network

DRAWS, LEVEL, SEED = 5, 0.2, 3


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["plain", "dense", "mobile"])
def test_simple_fullgrad_takes_gradients_of_features(name: str, preset: str) -> None:
    model, x = network(name), images(2, 3, 48, 64)
    terms = naive.explicit_terms(model, x, 2)
    expected = naive.combined(preset, terms.input_gradient * x, terms.feature_gradients)
    assert_near(SimpleFullGrad(preset)(model, x, 2), expected, 1e-9)


def test_simple_fullgrad_rescales_as_released() -> None:
    model, x = network("residual"), images(2, 3, 48, 64)
    assert torch.equal(SimpleFullGrad()(model, x), SimpleFullGrad("idiap")(model, x))
    assert SimpleFullGrad() == SimpleFullGrad("idiap", sites="bias")


@pytest.mark.parametrize("name", NETWORKS)
def test_simple_fullgrad_under_paper_is_fullgrad(name: str) -> None:
    """Rescaling by channel cancels a bias that is constant on its channel."""
    model, x = network(name), images(2, 3, 48, 64)
    whole = FullGrad("paper", sites="bias")(model, x)
    assert_near(SimpleFullGrad("paper")(model, x), whole, 1e-10)
    unscaled = FullGrad("abs", sites="bias")(model, x)
    assert (SimpleFullGrad("abs")(model, x) - unscaled).abs().max() > 0.01 * unscaled.max()


def test_convolutions_without_a_bias_are_left_out() -> None:
    """A bias of zero is a bias; none is none."""
    x = images(2, 3, 9, 9)
    maps = []
    for bias in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=bias), nn.ReLU(), nn.Flatten())
        net.append(nn.Linear(196, 3)).double()
        with torch.no_grad():
            net[0].weight.copy_(images(4, 3, 3, 3, seed=4))
            net[3].weight.copy_(images(3, 196, seed=5))
            if bias:
                net[0].bias.zero_()
        maps.append(SimpleFullGrad()(net, x, 0))
        terms = naive.explicit_terms(net, x, 0)
        assert len(terms.feature_gradients) == bias
        expected = naive.combined("idiap", terms.input_gradient * x, terms.feature_gradients)
        assert_near(maps[-1], expected, 1e-10)
    assert (maps[0] - maps[1]).abs().max() > 0.1


def test_simple_fullgrad_refuses_sites_without_features() -> None:
    with pytest.raises(ValueError, match=r"SimpleFullGrad .* sites must be 'bias'"):
        SimpleFullGrad(sites="all")


@pytest.mark.parametrize("at_once", [1, 2, 3, 32])
@pytest.mark.parametrize("preset", ["paper", "idiap", "signed"])
@pytest.mark.parametrize("name", ["plain", "mobile"])
def test_smooth_fullgrad_averages_before_psi(name: str, preset: str, at_once: int) -> None:
    model, x, target = network(name), images(2, 3, 40, 36), torch.tensor([1, 4])
    ids = torch.tensor([7, -2])
    method = smooth(preset, sites="bias", internal_batch_size=at_once)
    saliency = method(model, x, target, sample_ids=ids)
    assert_near(saliency, naive_smooth(preset, model, x, target, ids), 1e-9)


def test_implicit_biases_are_averaged_too() -> None:
    model, x, ids = network("mobile"), images(1, 3, 40, 36), torch.tensor([7])
    saliency = smooth("paper", sites="all", internal_batch_size=2)(model, x, 1, sample_ids=ids)
    assert_near(
        saliency, naive_smooth("paper", model, x, torch.tensor([1]), ids, sites="all"), 1e-9
    )
    assert_near(smooth("paper")(model, x, 1, sample_ids=ids), saliency, 1e-10)


def naive_smooth(
    preset: str, model: nn.Module, x: Tensor, target: Tensor, ids: Tensor, sites: str = "bias"
) -> Tensor:
    """One noisy copy at a time, all tensors kept."""
    maps = []
    for i, clean in enumerate(x):
        first, layers = torch.zeros_like(x[:1]), None
        for draw in range(DRAWS):
            noise = gaussian_noise(clean, SEED, int(ids[i]), [draw])
            noisy = clean + LEVEL * (clean.max() - clean.min()) * noise
            terms = naive.explicit_terms(model, noisy, int(target[i]))
            these = terms.bias_gradients
            if sites == "all":
                these = naive.all_bias_gradients(model, noisy, int(target[i]))
            first = first + terms.input_gradient * noisy / DRAWS
            layers = layers or [torch.zeros_like(layer) for layer in these]
            layers = [a + b / DRAWS for a, b in zip(layers, these, strict=True)]
        maps.append(naive.combined(preset, first, layers))
    return torch.cat(maps)


@pytest.mark.parametrize("preset", PRESETS)
def test_without_noise_it_is_fullgrad(preset: str) -> None:
    model, x = network("mobile"), images(2, 3, 40, 36)
    for at_once in (2, 32):
        saliency = smooth(preset, noise_level=0.0, internal_batch_size=at_once)(model, x)
        assert_near(saliency, FullGrad(preset)(model, x), 1e-9)


def test_the_target_is_fixed_on_the_clean_image() -> None:
    """The top class of the noisy copies is another: theirs must not be explained."""
    model = redraw(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(160, 5)))
    x, ids = images(3, 3, 10, 7), torch.arange(3)
    top = model(x).argmax(1)
    spread = x.flatten(1).amax(1) - x.flatten(1).amin(1)
    for i in range(3):
        noise = gaussian_noise(x[i], SEED, i, range(DRAWS))
        assert (model(x[i] + spread[i] * noise).argmax(1) != top[i]).any()
    method = smooth("paper", noise_level=1.0)
    saliency = method(model, x, sample_ids=ids)
    assert_near(saliency, method(model, x, top, sample_ids=ids), 1e-12)
    assert (saliency - method(model, x, (top + 1) % 5, sample_ids=ids)).abs().max() > 0.1


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["64", "32"]
)
def test_noise_belongs_to_the_sample(dtype: torch.dtype, tolerance: float) -> None:
    model, x, target = network("plain", dtype), images(3, 3, 20, 24).to(dtype), torch.arange(3)
    for ids in (None, torch.tensor([5, 6, 7])):
        together = smooth()(model, x, target, sample_ids=ids)
        order = torch.tensor([2, 0, 1])
        shuffled = smooth()(
            model, x[order], target[order], sample_ids=None if ids is None else ids[order]
        )
        assert_near(shuffled, together[order], tolerance)
        for i in range(3):
            own = None if ids is None else ids[i : i + 1]
            alone = smooth()(model, x[i : i + 1], i, sample_ids=own)
            assert_near(alone, together[i : i + 1], tolerance)
    first, second = (smooth()(model, x[:1], 0, sample_ids=torch.tensor([i])) for i in (5, 6))
    assert (first - second).abs().max() > 0.01 * first.max()
    other = smooth(seed=SEED + 1)(model, x[:1], 0, sample_ids=torch.tensor([5]))
    assert (first - other).abs().max() > 0.01 * first.max()


def test_the_global_generator_is_left_alone() -> None:
    model, x = network("plain"), images(1, 3, 20, 24)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    smooth()(model, x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_samples", 0),
        ("n_samples", 2.5),
        ("noise_level", -0.1),
        ("noise_level", float("nan")),
        ("seed", 0.5),
        ("internal_batch_size", 0),
        ("sites", "some"),
    ],
)
def test_options_are_checked_in_the_constructor(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        SmoothFullGrad(**{name: value})


@pytest.mark.parametrize("ids", [torch.arange(2), torch.arange(3.0), torch.zeros(3, 1).long()])
def test_sample_ids_are_checked(ids: Tensor) -> None:
    with pytest.raises(ValueError, match=r"sample_ids must hold .*\(3,\)"):
        smooth()(network("plain"), images(3, 3, 20, 24), sample_ids=ids)


def smooth(postprocess: str = "paper", **options: object) -> SmoothFullGrad:
    defaults = {"n_samples": DRAWS, "noise_level": LEVEL, "seed": SEED}
    return SmoothFullGrad(postprocess, **(defaults | options))
