"""Properties of every exact decomposition, checked against plain autograd and differences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import redraw

EPSILON = 1e-12
STEP = 1e-6


class Apply(nn.Module):
    """A function as a module, so that the sites inside have its path."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Around(nn.Module):
    """A stem, the operation under test as ``middle``, and a linear head on all its outputs.

    The gradient that arrives at the output of ``middle`` is a row of the head's weight.
    """

    def __init__(
        self,
        middle: Callable[[Tensor], Tensor],
        x: Tensor,
        stem: nn.Module | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.stem = stem or nn.Conv2d(3, 4, 3, padding=1)
        self.middle = middle if isinstance(middle, nn.Module) else Apply(middle)
        redraw(self, seed).eval()
        with torch.no_grad():
            features = self.middle(self.stem(x[:1])).flatten(1).shape[1]
        self.head = redraw(nn.Linear(features, 5), seed + 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self.stem(x)).flatten(1))

    def gradient_at_middle(self, x: Tensor) -> Tensor:
        """∂f/∂y for the top class, shaped like the output y of ``middle``."""
        with torch.no_grad():
            y = self.middle(self.stem(x))
            return self.head.weight[self(x).argmax(1)].view(y.shape)


def assert_exact(
    model: Callable[[Tensor], object],
    x: Tensor,
    target: object = None,
    *,
    not_localized: bool | None = False,
) -> fgl.FullGradients:
    """Checks completeness, f and ∇f against plain autograd, and each sample against itself alone.

    ``not_localized``: whether such sites must occur; ``None`` allows both.
    """
    fg = fgl.full_gradients(model, x, target)
    assert fg.relative_residual.max() <= EPSILON, fg.relative_residual
    marked = [name for name, site in fg.sites.items() if site.kind == "not_localized"]
    assert not_localized is None or bool(marked) == not_localized, marked

    output, gradient = plainly(model, x, target)
    torch.testing.assert_close(fg.output, output, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(fg.input_gradient, gradient, rtol=1e-9, atol=1e-11)

    budget = fgl.attribution_budget(model, x, target)
    total = fg.input_term.abs() + sum(term.abs() for term in fg.bias_terms.values())
    for i in range(x.shape[0]):
        own = target[i : i + 1] if isinstance(target, Tensor) else target
        alone = fgl.attribution_budget(model, x[i : i + 1], own)
        assert alone.bias_terms.keys() == budget.bias_terms.keys()
        assert (alone.input_term - budget.input_term[i]).abs() <= 1e-10 * total[i]
        for name, term in alone.bias_terms.items():
            for together in (budget.bias_terms[name][i], fg.bias_terms[name][i]):
                assert (term - together).abs() <= 1e-10 * total[i], (name, i, term, together)
    for name, site in fg.sites.items():
        values = fg.bias_gradients[name].values
        if site.kind != "not_localized":
            assert (values.sum() - fg.bias_terms[name].sum()).abs() <= 1e-10 * total.sum(), name
    return fg


def plainly(model: Callable[[Tensor], object], x: Tensor, target: object) -> tuple[Tensor, Tensor]:
    """f (N,) and ∇f of a model in eval mode, by autograd alone."""
    x = x.detach().clone().requires_grad_()
    output = model(x.clone())
    if callable(target) and not isinstance(target, Tensor):
        f = target(output)
    else:
        index = output.argmax(1) if target is None else torch.as_tensor(target).expand(len(x))
        f = output[torch.arange(len(x)), index]
    return f.detach(), torch.autograd.grad(f.sum(), x)[0]


def assert_around_exact(
    net: Around, x: Tensor, *, not_localized: bool | None = False
) -> fgl.FullGradients:
    """Checks ``assert_exact``, and the biases inside ``middle`` against differences.

    The biases inside telescope to ⟨g, y − J·z⟩ with z the input of ``middle``, and J·z is the
    derivative of y(t·z) in t at 1: a central difference, independent of the rules.
    """
    fg = assert_exact(net, x, not_localized=not_localized)
    with torch.no_grad():
        z, gradient = net.stem(x), net.gradient_at_middle(x)
        slope = (net.middle((1 + STEP) * z) - net.middle((1 - STEP) * z)) / (2 * STEP)
        expected = gradient * (net.middle(z) - slope)
    inside = [
        term
        for name, term in fg.bias_terms.items()
        if name.split(".")[0] == "middle" or fg.sites[name].kind == "not_localized"
    ]
    found = sum(inside, start=torch.zeros(len(x), dtype=torch.float64))
    magnitude = (gradient * slope).abs().flatten(1).sum(1) + 1
    expected = expected.flatten(1).sum(1)
    assert ((found - expected).abs() <= 1e-6 * magnitude).all(), (found, expected)
    return fg


def inside_middle(fg: fgl.FullGradients) -> Tensor | float:
    """The sum of the bias-gradients of all sites of ``middle``, which are of one shape."""
    return sum(b.values for name, b in fg.bias_gradients.items() if name.split(".")[0] == "middle")
