"""Any method's map under a Gaussian."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from fullgrad_lightning.saliency.baselines.controls import Blurred
from fullgrad_lightning.saliency.registry import saliency_method, saliency_methods
from tests.decomposition.redrawn import images, redraw
from tests.saliency.methods import OPTIONS, Classifier


def as_scipy(maps: Tensor, sigma: float) -> Tensor:
    """Each map under scipy's Gaussian, cut off at 4σ or at the size of the map."""
    sides = maps.shape[2:]
    radius = [min(round(4 * sigma), side - 1) for side in sides]
    rows = [gaussian_filter(m, sigma, mode="mirror", radius=radius) for m in maps[:, 0].numpy()]
    return torch.from_numpy(np.stack(rows))[:, None]


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5, 40])
@pytest.mark.parametrize("size", [(19, 24), (9, 5), (1, 7)])
def test_the_gaussian_is_that_of_scipy(sigma: float, size: tuple[int, int]) -> None:
    net, x = redraw(Classifier()), images(3, 3, *size)
    sharp = saliency_method("sobel")(net, x)
    got = Blurred(method="sobel", sigma=sigma)(net, x)
    torch.testing.assert_close(got, as_scipy(sharp, sigma), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in saliency_methods() if n != "blurred"])
def test_any_method_with_its_options_target_and_ids(name: str) -> None:
    net, x = redraw(Classifier()), images(2, 3, 10, 12)
    options = OPTIONS.get(name, {})
    target, ids = torch.tensor([3, 1]), torch.tensor([11, -4])
    sharp = saliency_method(name, **options)(net, x, target, sample_ids=ids)
    blurred = saliency_method("blurred", method=name, sigma=1.2, method_options=options)
    got = blurred(net, x, target, sample_ids=ids)
    torch.testing.assert_close(got, as_scipy(sharp, 1.2).to(got.dtype))
    assert (got - sharp).abs().max() > 1e-3 * sharp.abs().max() or not sharp.any()


def test_where_the_map_is_constant_it_stays_as_it_is() -> None:
    blurred = Blurred(method="sobel", sigma=1.0)
    ramp = torch.arange(30.0, dtype=torch.float64).expand(1, 1, 30, 30).contiguous()
    inside = blurred(redraw(Classifier(1)), ramp)[..., 5:-5, 5:-5]
    torch.testing.assert_close(inside, torch.full_like(inside, 8))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        *[({"method": "sobel", "sigma": bad}, ValueError, "sigma must be > 0, in pixels")
          for bad in (0, -1.0, float("nan"), float("inf"), "2", True, None)],
        ({"method": "sobell", "sigma": 1.0}, ValueError, "Did you mean 'sobel'"),
        ({"method": "vargrad", "sigma": 1.0, "method_options": {"n_samples": 0}},
         ValueError, "n_samples must be an integer ≥ 1"),
        ({"method": "vargrad", "sigma": 1.0, "method_options": {"samples": 3}},
         TypeError, "'vargrad' has no option 'samples'"),
        ({"method": "sobel"}, TypeError, "missing 1 required keyword-only argument: 'sigma'"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_at_once(
    options: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        saliency_method("blurred", **options)
