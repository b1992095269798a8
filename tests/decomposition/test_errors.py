"""Errors of bad input: the value expected, the value received, the remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import images, redraw

EVERY_DECOMPOSITION = [fgl.full_gradients, fgl.attribution_budget, fgl.layer_maps]


@pytest.fixture
def net() -> nn.Module:
    """(N, 3, 6, 6) to (N, 5) in float64."""
    layers = nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(64, 5)
    return redraw(nn.Sequential(*layers)).eval()


def message(error: type[Exception], model: object, x: object, target: object = None) -> str:
    """The text of the error that every decomposition raises alike."""
    texts = set()
    for decompose in EVERY_DECOMPOSITION:
        with pytest.raises(error) as caught:
            decompose(model, x, target)
        assert type(caught.value) is error
        texts.add(str(caught.value))
    assert len(texts) == 1
    return texts.pop()


def says(text: str, *parts: str) -> bool:
    """Asserts that all parts occur, in any case."""
    missing = [part for part in parts if part.lower() not in text.lower()]
    assert not missing, (missing, text)
    return True


def with_value(value: float, *samples: int) -> Tensor:
    x = images(4)
    for i in samples:
        x[i, 1, 2, 3] = value
    return x


BAD_INPUTS: dict[str, tuple[Callable[[], object], type[Exception], tuple[str, ...]]] = {
    "integer images": (
        lambda: torch.zeros(2, 3, 6, 6, dtype=torch.uint8),
        TypeError,
        ("floating point", "uint8", "scale"),
    ),
    "labels": (lambda: torch.zeros(2, 3).long(), TypeError, ("floating point", "int64")),
    "complex": (lambda: images(2).to(torch.complex64), TypeError, ("floating point", "complex64")),
    "no tensor": (lambda: [[1.0, 2.0]], TypeError, ("tensor", "batch dimension", "list")),
    "one number per sample": (
        lambda: images(3, 1)[:, 0],
        ValueError,
        ("batch", "(3,)", "unsqueeze"),
    ),
    "a number": (lambda: torch.tensor(1.0), ValueError, ("batch dimension", "()", "unsqueeze")),
    "empty batch": (lambda: images(4)[:0], ValueError, ("(0, 3, 6, 6)", "at least one sample")),
    "no pixels": (lambda: torch.zeros(2, 3, 0, 6), ValueError, ("no values", "(2, 3, 0, 6)")),
    "nan": (lambda: with_value(torch.nan, 2), ValueError, ("NaN", "sample 2 of 4", "Check")),
    "inf": (lambda: with_value(torch.inf, 0, 3), ValueError, ("infinity", "sample 0, 3 of 4")),
    "-inf": (lambda: with_value(-torch.inf, 1), ValueError, ("infinity", "sample 1 of 4")),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_inputs(name: str, net: nn.Module) -> None:
    x, error, parts = BAD_INPUTS[name]
    assert says(message(error, net, x()), *parts)


BAD_TARGETS: dict[str, tuple[object, type[Exception], tuple[str, ...]]] = {
    "class too large": (5, ValueError, ("target 5", "0…4", "5 outputs")),
    "negative class": (-1, ValueError, ("target -1", "0…4")),
    "one class too large": (torch.tensor([0, 4, 7]), ValueError, ("7", "sample 2", "0…4")),
    "too short": (torch.tensor([0, 1]), ValueError, ("(3,)", "(2,)", "one class index per sample")),
    "a column": (torch.zeros(3, 1).long(), ValueError, ("(3,)", "(3, 1)")),
    "zero-dimensional": (torch.tensor(1), ValueError, ("(3,)", "()")),
    "one-hot floats": (torch.zeros(3, 5), TypeError, ("class indices", "float32", "long()")),
    "float classes": (torch.zeros(3), TypeError, ("class indices", "float32")),
    "mask": (torch.ones(3, dtype=torch.bool), TypeError, ("class indices", "bool")),
    "float": (1.0, TypeError, ("int", "callable", "float")),
    "bool": (True, TypeError, ("int", "callable", "bool")),
    "name": ("cat", TypeError, ("int", "callable", "str")),
    "list": ([0, 1, 2], TypeError, ("integer tensor", "callable", "list")),
    "scalar from a callable": (
        lambda out: out.sum(),
        ValueError,
        ("(3,)", "()", "one real number"),
    ),
    "logits from a callable": (lambda out: out, ValueError, ("(3,)", "(3, 5)", "Reduce")),
    "classes from a callable": (lambda out: out.argmax(1), ValueError, ("float", "(3,)", "int64")),
    "nothing from a callable": (lambda out: None, ValueError, ("(3,)", "None")),
    "batch of one from a callable": (lambda out: out[:1, 0], ValueError, ("(3,)", "(1,)")),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_bad_targets(name: str, net: nn.Module) -> None:
    target, error, parts = BAD_TARGETS[name]
    assert says(message(error, net, images(), target), *parts)


BAD_OUTPUTS: dict[str, tuple[Callable[[Tensor], object], tuple[str, ...]]] = {
    "maps": (lambda x: x * 2, ("(N, K)", "(3, 3, 6, 6)", "callable target")),
    "dict": (lambda x: {"out": x.mean(1)}, ("(N, K)", "dict", "'out'", "(3, 6, 6)", "callable")),
    "tuple": (lambda x: (x.mean((2, 3)), x), ("(N, K)", "tuple", "(3, 3)", "callable")),
    "no class dimension": (lambda x: x.sum((1, 2, 3)), ("(N, K)", "(3,)", "callable")),
    "another batch size": (lambda x: x.mean((2, 3)).repeat(2, 1), ("N=3", "(6, 3)", "callable")),
}


@pytest.mark.parametrize("name", BAD_OUTPUTS)
def test_outputs_that_are_not_logits(name: str) -> None:
    model, parts = BAD_OUTPUTS[name]
    assert says(message(ValueError, model, images()), *parts)


def _without_gradients(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x.mean((2, 3))


INDEPENDENT: dict[str, Callable[[Tensor], Tensor]] = {
    "constant": lambda x: torch.ones(len(x), 5, dtype=x.dtype),
    "detached": lambda x: torch.sigmoid(x.mean((2, 3)).detach()),
    "no_grad": _without_gradients,
    "indices": lambda x: x.argmax(1).flatten(1).double(),
    "parameters": lambda x: nn.Parameter(torch.ones(5, dtype=x.dtype)).expand(len(x), 5) * 2,
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_an_output_that_does_not_depend_on_x(name: str) -> None:
    text = message(ValueError, INDEPENDENT[name], images())
    assert says(text, "does not depend on x", "no_grad", "detach")


def coupled() -> nn.Module:
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    return redraw(nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.Flatten(), nn.Linear(64, 5))).eval()


def test_samples_coupled_through_batch_statistics() -> None:
    text = message(ValueError, coupled(), images())
    assert says(text, "coupled", "running statistics", "N=1", "track_running_stats=True")


def test_one_sample_with_batch_statistics_is_fine() -> None:
    fg = fgl.full_gradients(coupled(), images(1))
    assert fg.relative_residual.item() <= 1e-12
    assert "1" in fg.sites


def test_statistics_of_each_sample_alone_couple_nothing() -> None:
    norm = nn.InstanceNorm2d(4, affine=True)
    net = redraw(nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.Flatten(), nn.Linear(64, 5))).eval()
    assert fgl.full_gradients(net, images()).relative_residual.max() <= 1e-12


def _torchscript(net: nn.Module) -> dict[str, object]:
    return {
        "scripted": torch.jit.script(net),
        "traced": torch.jit.trace(net, images()),
        "a scripted child": nn.Sequential(torch.jit.script(net[:3]), net[3]),
        "a scripted function": torch.jit.script(_double),
    }


def _double(x: Tensor) -> Tensor:
    return x.flatten(1) * 2


@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated")
@pytest.mark.parametrize("name", ["scripted", "traced", "a scripted child", "a scripted function"])
def test_torchscript_is_refused(name: str, net: nn.Module) -> None:
    text = message(TypeError, _torchscript(net)[name], images())
    assert says(
        text, "TorchScript", "original nn.Module", "'0'" if "child" in name else "the model"
    )


def test_a_reentrant_checkpoint_is_refused(net: nn.Module) -> None:
    def model(x: Tensor) -> Tensor:
        return net[3](checkpoint(net[:3], x, use_reentrant=True))

    assert says(message(ValueError, model, images()), "reentrant", "use_reentrant=False")


def test_a_checkpoint_that_is_not_reentrant_is_fine(net: nn.Module) -> None:
    fg = fgl.full_gradients(lambda x: net[3](checkpoint(net[:3], x, use_reentrant=False)), images())
    assert fg.relative_residual.max() <= 1e-12


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_module_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(5))
    assert says(
        message(ValueError, net, images()), "'1.weight'", "not initialised", "Run the model"
    )


def test_a_model_that_cannot_be_called_is_refused() -> None:
    assert says(message(TypeError, {"state": 1}, images()), "nn.Module", "dict")


def test_the_models_own_errors_come_through(net: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fgl.full_gradients(net, images(2, 3, 8, 8))


class Named(nn.Module):
    """Returns logits within something."""

    def __init__(self, pack: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.linear, self.pack = nn.Linear(3, 5), pack

    def forward(self, x: Tensor) -> object:
        return self.pack(self.linear(x))


@pytest.mark.parametrize(
    ("pack", "code"),
    [
        (lambda out: {"scores": out}, "out['scores'][:, 3]"),
        (lambda out: (out, 1), "out[0][:, 3]"),
        (lambda out: {"a": [out[:, :, None, None]]}, "out['a'][0][:, 3].mean((1, 2))"),
    ],
)
def test_the_target_that_is_suggested_works(pack: Callable[[Tensor], object], code: str) -> None:
    x = torch.rand(2, 3)
    with pytest.raises(ValueError, match="logits of shape") as caught:
        fgl.attribution_budget(Named(pack), x)
    assert f"target=lambda out: {code};" in str(caught.value)
    found = fgl.attribution_budget(Named(pack), x, target=eval(f"lambda out: {code}"))
    assert found.output.shape == (2,)


def test_what_is_printed_is_a_line() -> None:
    for decompose in (fgl.attribution_budget, fgl.full_gradients):
        text = repr(decompose(nn.Linear(3, 5), torch.rand(2, 3)))
        assert "2 samples, 1 sites, relative residual up to" in text and len(text) < 100
