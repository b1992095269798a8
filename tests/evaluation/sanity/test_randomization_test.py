"""The check itself, on a small network that was trained: what fails it, and what passes."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

import fullgrad_lightning as fgl
from fullgrad_lightning.evaluation.sanity.cascading_randomization import CascadingRandomization
from fullgrad_lightning.evaluation.sanity.randomization_test import check_randomization
from tests.saliency.networks import network
from tests.saliency.test_sanity_checks import squares, trained

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_what_ignores_the_network_stays_and_what_explains_it_falls() -> None:
    x, quadrants, _ = squares()
    methods = ["sobel", "random", "input_gradient", "fullgrad"]
    found = check_randomization(
        trained(0), x[:32], methods, target=quadrants[:32], stages=None, seed=1
    )
    assert found.headings == ("original", "11", "9", "6", "3", "0")
    assert found.depths == (0, 1, 2, 3, 4, 5) and found.methods == tuple(methods)

    def means(method: str, measure: str = "spearman") -> list[float]:
        return [one.mean for one in found.estimates(measure, method)]

    for control in ("sobel", "random"):
        for measure in ("spearman", "spearman_abs", "ssim"):
            assert means(control, measure) == pytest.approx([1] * 6)
    for method in ("input_gradient", "fullgrad"):
        for measure in ("spearman", "ssim"):
            first, *later = means(method, measure)
            assert first == pytest.approx(1) and max(later) < 0.85, (method, measure, later)
            assert later[-1] < 0.5, (method, measure, later)


def test_it_is_what_a_literal_loop_finds() -> None:
    net, method = network("plain", torch.float64), fgl.FullGrad("signed")
    x = IMAGES.double()
    found = check_randomization(net, x, {"mine": method}, stages=3, seed=4)
    target = net(x).argmax(1)
    original = method(net, x, target)
    for stage, forgetful in enumerate(CascadingRandomization(net, x, stages=3, seed=4)):
        maps = method(forgetful, x, target)
        for i in range(len(x)):
            expected = spearmanr(maps[i].flatten().numpy(), original[i].flatten().numpy())
            got = found.similarity["spearman"]["mine"][stage, i].item()
            assert got == pytest.approx(expected.statistic, abs=1e-9), (stage, i)
        assert torch.equal(found.maps["mine"][stage], maps[:1])
    assert found.measures == ("spearman", "spearman_abs", "ssim")  # maps have two signs


def test_the_class_stays_that_of_the_original_network() -> None:
    seen: list[Tensor] = []

    def watching(model: nn.Module, x: Tensor, target: Tensor, *, sample_ids: object) -> Tensor:
        seen.append(target)
        return x.mean(1, keepdim=True)

    net = network("plain", torch.float32)
    check_randomization(net, IMAGES, {"watching": watching}, stages=None, batch_size=2)
    top = net(IMAGES).argmax(1)
    *_, forgetful = CascadingRandomization(net, IMAGES, stages=None)
    assert not torch.equal(forgetful(IMAGES).argmax(1), top)  # so that it says something
    assert all(torch.equal(target, top[:2]) for target in seen[::2])
    assert all(torch.equal(target, top[2:]) for target in seen[1::2])


def test_batches_do_not_matter_and_ids_decide_noise() -> None:
    net, ids = network("plain", torch.float64), torch.tensor([7, 8, 9])
    methods = {
        "smoothgrad": fgl.saliency_method("smoothgrad", n_samples=2),
        "random": fgl.saliency_method("random"),
    }
    x = IMAGES.double()
    whole, parts = (
        check_randomization(net, x, methods, stages=2, sample_ids=ids, batch_size=size)
        for size in (3, 2)
    )
    for name in methods:
        one, other = (found.similarity["spearman"][name] for found in (whole, parts))
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
    expected = methods["random"](net, x[:1], sample_ids=ids[:1])
    assert torch.equal(whole.maps["random"][0], expected)
    assert whole.measures == ("spearman", "ssim")  # nothing is negative


def test_progress_and_how_many_maps_are_kept() -> None:
    told: list[tuple[int, int]] = []
    found = check_randomization(
        network("plain", torch.float32), IMAGES, ["sobel", "input_gradient"],
        stages=2, pictures=2, progress=lambda *numbers: told.append(numbers),
    )  # fmt: skip
    assert told == [(i, 6) for i in range(1, 7)]
    assert found.maps["sobel"].shape == (3, 2, 1, 32, 32)


def test_model_and_random_numbers_are_left_alone() -> None:
    net = network("residual", torch.float32).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = torch.get_rng_state()
    check_randomization(net, IMAGES, ["fullgrad", "smoothgrad", "gradcam"], stages=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"methods": []}, ValueError, r"names of saliency methods, such as .*, got \[\]"),
        ({"methods": "fullgrad"}, ValueError, "names of saliency methods"),
        ({"methods": ["fulgrad"]}, ValueError, "Did you mean 'fullgrad'"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer ≥ 1"),
        ({"pictures": 0}, ValueError, "pictures must be an integer ≥ 1"),
        ({"images": IMAGES[0]}, ValueError, r"\(N, C, H, W\)"),
        ({"images": IMAGES[:, :, :10, :10]}, ValueError, "at least as large"),
        ({"target": 99}, ValueError, "99"),
        ({"model": nn.AvgPool2d(2)}, ValueError, "nothing to re-initialise"),
    ],
)
def test_errors(options: dict[str, object], error: type, message: str) -> None:
    usual = {"model": network("plain", torch.float32), "images": IMAGES, "methods": ["fullgrad"]}
    given = {**usual, **options}
    with pytest.raises(error, match=message):
        check_randomization(given.pop("model"), given.pop("images"), given.pop("methods"), **given)
