"""The contract of every saliency method, whatever it computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from tests.decomposition.redrawn import images, redraw
from tests.decomposition.test_no_trace import assert_same
from tests.saliency.methods import (
    CONTROLS,
    STOCHASTIC,
    Classifier,
    every_method,
    make,
    option_names,
    relative_error,
)


@every_method
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 3, 9, 9), (2, 1, 8, 13), (3, 13, 11, 6)])
def test_shape_and_dtype(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = images(*shape).to(dtype).requires_grad_()
    saliency = make(name)(redraw(Classifier(shape[1])).to(dtype), x)
    assert saliency.shape == (shape[0], 1, *shape[2:])
    assert saliency.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert saliency.device == x.device and not saliency.requires_grad and x.grad is None
    assert saliency.isfinite().all() and (saliency >= 0).all()
    assert (saliency.flatten(1).amax(1) > saliency.flatten(1).amin(1)).all()


@every_method
@pytest.mark.parametrize("ids", [None, torch.tensor([7, -3, 2**62, 7])], ids=["hashed", "given"])
def test_a_sample_has_the_same_map_alone_and_in_any_batch(name: str, ids: Tensor | None) -> None:
    net, method = redraw(Classifier()).float(), make(name)
    x, targets = images(4, 3, 12, 10).float(), torch.tensor([4, 0, 2, 1])
    together = method(net, x, targets, sample_ids=ids)
    assert (together.flatten(1).amax(1) > 0).sum() >= 2
    order = torch.tensor([2, 0, 3, 1])
    shuffled = method(net, x[order], targets[order], sample_ids=None if ids is None else ids[order])
    for i in range(4):
        alone = method(net, x[i : i + 1], targets[i : i + 1], sample_ids=_of(ids, i))
        assert relative_error(together[i], alone[0]) <= 1e-5
        assert relative_error(shuffled[order.tolist().index(i)], alone[0]) <= 1e-5


def _of(ids: Tensor | None, i: int) -> Tensor | None:
    return None if ids is None else ids[i : i + 1]


@every_method
def test_randomness_depends_on_the_sample_id_alone(name: str) -> None:
    net, method = redraw(Classifier()), make(name)
    x = images(1, 3, 8, 8).expand(3, -1, -1, -1)
    saliency = method(net, x, 1, sample_ids=torch.tensor([5, 6, 5]))
    torch.testing.assert_close(saliency[0], saliency[2])
    assert (relative_error(saliency[1], saliency[0]) > 1e-3) == (name in STOCHASTIC)
    hashed = method(net, x, 1)
    torch.testing.assert_close(hashed[0], hashed[1])
    if name in STOCHASTIC:
        other = make(name, seed=1)(net, x, 1, sample_ids=torch.tensor([5, 6, 5]))
        assert relative_error(other, saliency) > 1e-3
        for bad in (torch.tensor([1, 2]), torch.rand(3)):
            with pytest.raises(ValueError, match="sample_ids must hold one integer per sample"):
                method(net, x, 1, sample_ids=bad)


def test_randomness_is_the_same_in_another_process() -> None:
    code = (
        "import json\n"
        "from tests.decomposition.redrawn import images, redraw\n"
        "from tests.saliency.methods import STOCHASTIC, Classifier, make\n"
        "net, x = redraw(Classifier()), images(2, 3, 8, 8)\n"
        "print(json.dumps([make(n)(net, x, 1).flatten().tolist() for n in sorted(STOCHASTIC)]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    net, x = redraw(Classifier()), images(2, 3, 8, 8)
    expected = [make(n)(net, x, 1).flatten().tolist() for n in sorted(STOCHASTIC)]
    torch.testing.assert_close(torch.tensor(json.loads(run.stdout)), torch.tensor(expected))


@every_method
def test_all_kinds_of_target(name: str) -> None:
    net, x = redraw(Classifier()), images(3, 3, 8, 8)
    # So much noise that the top class of noisy copies is another: None means that of the clean one.
    method = make(name, **({"noise_level": 3.0} if "noise_level" in option_names(name) else {}))
    top = net.eval()(x).argmax(1)
    assert_same(method(net, x), method(net, x, top))
    expected = method(net, x, torch.full((3,), 2))
    assert_same(method(net, x, 2), expected)
    torch.testing.assert_close(method(net, x, lambda y: y[:, 2]), expected)
    other = relative_error(method(net, x, 0), expected)
    assert other == 0 if name in CONTROLS else other > 1e-3


@every_method
def test_bad_input_is_refused(name: str) -> None:
    net, method, x = redraw(Classifier()), make(name), images(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"shape \(N, C, H, W\), got \(3, 8, 8\)"):
        method(net, x[0])
    with pytest.raises(ValueError, match="NaN or infinity in sample 1"):
        method(net, torch.stack((x[0], x[1] / 0)))
    with pytest.raises(TypeError, match=r"got torch\.int64"):
        method(net, x.long())
    with pytest.raises(ValueError, match=r"must have shape \(2,\)"):
        method(net, x, torch.tensor([1, 2, 3]))
    with pytest.raises(TypeError, match="model must be"):
        method(3, x)  # type: ignore[arg-type]
    if name not in CONTROLS:
        with pytest.raises(ValueError, match="outside 0…4"):
            method(net, x, 5)


@every_method
def test_an_output_that_does_not_depend_on_the_image_is_refused(name: str) -> None:
    class Cut(Classifier):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.detach())

    method, x = make(name), images(2, 3, 8, 8)
    if name in CONTROLS:
        assert method(redraw(Cut()), x).shape == (2, 1, 8, 8)
    elif name != "gradcam":  # which needs the gradient at a layer alone
        with pytest.raises(ValueError, match="does not depend on x"):
            method(redraw(Cut()), x, 1)
