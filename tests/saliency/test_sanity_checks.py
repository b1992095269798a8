"""Does the map depend on what the network has learnt? After Adebayo et al. (NeurIPS 2018).

A small network classifies in which quadrant of a noisy image a bright square lies.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from itertools import pairwise

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import images
from tests.saliency.networks import NETWORKS, network

SIZE, SQUARE = 16, 6
REDRAWS = 6  # over how many random initialisations a correlation is averaged
SHOWN = slice(0, 16)  # the images whose maps are compared


@cache
def squares(n: int = 256) -> tuple[Tensor, Tensor, Tensor]:
    """Images (n, 1, 16, 16), the quadrant (n,) of each one's square, and where it lies."""
    generator = torch.Generator().manual_seed(0)
    x = 0.5 * torch.randn(n, 1, SIZE, SIZE, generator=generator)
    quadrants = torch.randint(4, (n,), generator=generator)
    shifts = torch.randint(SIZE // 2 - SQUARE + 1, (n, 2), generator=generator)
    inside = torch.zeros(x.shape, dtype=torch.bool)
    for i, (quadrant, (down, right)) in enumerate(
        zip(quadrants.tolist(), shifts.tolist(), strict=True)
    ):
        top, left = quadrant // 2 * (SIZE // 2) + down, quadrant % 2 * (SIZE // 2) + right
        inside[i, 0, top : top + SQUARE, left : left + SQUARE] = True
    return x + 1.5 * inside, quadrants, inside


@cache
def trained(seed: int, true_labels: bool = True) -> nn.Sequential:
    """A network that knows the label of every image, be it the true one or a random one."""
    x, labels, _ = squares()
    if not true_labels:
        labels = random_labels()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * SIZE**2 // 16, 64), nn.ReLU(), nn.Linear(64, 4),
        )  # fmt: skip
        optimizer = torch.optim.Adam(net.parameters(), 2e-3)
        for epoch in range(200):
            for rows in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                F.cross_entropy(net(x[rows]), labels[rows]).backward()
                optimizer.step()
            if epoch > 5 and bool((net(x).argmax(1) == labels).all()):
                break
    assert (net(x).argmax(1) == labels).float().mean() > 0.95
    return net.eval()


def random_labels() -> Tensor:
    n = len(squares()[1])
    return torch.randint(4, (n,), generator=torch.Generator().manual_seed(5))


def rank_correlation(maps: Tensor, others: Tensor) -> float:
    """Spearman's, averaged over images; maps (N, 1, H, W)."""
    pairs = zip(maps.flatten(1).numpy(), others.flatten(1).numpy(), strict=True)
    return sum(spearmanr(one, other).statistic for one, other in pairs) / len(maps)


def cascade(method: object, net: nn.Sequential, x: Tensor, target: Tensor) -> list[float]:
    """Correlations with the original map, as more layers from the top are re-initialised."""
    original = method(net, x, target)
    layers = [i for i, layer in enumerate(net) if hasattr(layer, "reset_parameters")]
    similarity = torch.zeros(1 + len(layers))
    with torch.random.fork_rng(devices=[]):
        for seed in range(REDRAWS):
            torch.manual_seed(seed)
            changed = deepcopy(net)
            similarity[0] += rank_correlation(method(changed, x, target), original)
            for rank, i in enumerate(reversed(layers), start=1):
                changed[i].reset_parameters()
                similarity[rank] += rank_correlation(method(changed, x, target), original)
    return (similarity / REDRAWS).tolist()


@pytest.mark.parametrize(
    ("preset", "after_one", "after_all"),
    [("paper", 0.6, 0.3), ("idiap", 0.7, 0.4), ("abs", 0.8, 0.5)],
)
def test_the_map_falls_apart_with_the_layers(
    preset: str, after_one: float, after_all: float
) -> None:
    x, quadrants, _ = squares()
    similarity = cascade(fgl.FullGrad(preset), trained(0), x[SHOWN], quadrants[SHOWN])
    assert len(similarity) == 6 and similarity[0] == pytest.approx(1)
    assert max(similarity[1:]) < after_one, (
        similarity
    )  # the last layer alone suffices to change it much
    assert similarity[-1] < after_all and similarity[-1] < similarity[1] - 0.1, similarity
    if preset == "abs":  # rescaled by nothing, it falls steadily
        assert all(later < earlier + 0.05 for earlier, later in pairwise(similarity))


def test_an_edge_detector_does_not_notice() -> None:
    """The control: what does not look at the network passes no such check."""
    x, quadrants, _ = squares()
    similarity = cascade(fgl.saliency_method("sobel"), trained(0), x[SHOWN], quadrants[SHOWN])
    assert similarity == pytest.approx([1] * 6)


@pytest.mark.parametrize("name", NETWORKS)
def test_full_gradients_see_the_last_bias_which_no_input_gradient_does(name: str) -> None:
    model, x = network(name), images(2, 3, 48, 64)
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    before = fgl.full_gradients(model, x, 1)
    with torch.no_grad():
        last.bias.add_(1.5)
    after = fgl.full_gradients(model, x, 1)
    assert torch.equal(after.input_gradient, before.input_gradient)
    head = list(before.bias_terms)[-1]
    for name, term in before.bias_terms.items():
        moved = 1.5 if name == head else 0.0
        torch.testing.assert_close(after.bias_terms[name], term + moved, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "idiap", "abs"])
def test_the_map_shows_whether_labels_were_true(preset: str) -> None:
    """All three networks answer every training image right; one had to learn them by heart."""
    x, quadrants, inside = squares()
    explain = fgl.FullGrad(preset)
    true, true_too = (explain(trained(seed), x, quadrants) for seed in (0, 1))
    by_heart = explain(trained(2, true_labels=False), x, random_labels())
    among_true, with_random = rank_correlation(true, true_too), rank_correlation(true, by_heart)
    assert among_true > 0.6 and with_random < among_true - 0.2, (among_true, with_random)

    shares = [float((m * inside).sum() / m.sum()) for m in (true, true_too, by_heart)]
    assert min(shares[:2]) > 1.3 * shares[2], shares
    assert min(shares[:2]) > 1.3 * float(inside.float().mean()), shares
