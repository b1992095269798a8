"""What is drawn: texture is independent of everything else, each index has its own randomness."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from fullgrad_lightning.datamodules.shapes.scenes import Scenes, draw_scenes
from fullgrad_lightning.datamodules.shapes.silhouettes import SILHOUETTES, SOLID
from fullgrad_lightning.datamodules.shapes.textures import TEXTURES

N = 4000


@pytest.fixture(scope="module", params=[False, True], ids=["silhouettes", "blobs"])
def scenes(request: pytest.FixtureRequest) -> Scenes:
    return draw_scenes(0, "train", range(N), formless=request.param)


def test_each_run_of_64_has_every_pair_of_texture_and_silhouette_once(scenes: Scenes) -> None:
    assert len(TEXTURES) == len(SILHOUETTES) == 8
    pairs = scenes.texture * 8 + scenes.thing.kind[:, 0]
    for run in pairs[: N // 64 * 64].reshape(-1, 64):
        assert run.sort().values.equal(torch.arange(64))
    runs = pairs[: N // 64 * 64].reshape(-1, 64)
    assert len(runs.unique(dim=0)) == len(runs), "every run has an order of its own"


def test_texture_and_silhouette_are_independent(scenes: Scenes) -> None:
    for start in (0, 17):  # whole runs, and not
        table = torch.zeros(8, 8)
        for t, s in zip(scenes.texture[start:], scenes.thing.kind[start:, 0], strict=True):
            table[t, s] += 1
        assert stats.chi2_contingency(table.numpy()).pvalue > 0.5


def numbers(value: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """All columns of numbers in a scene."""
    if isinstance(value, Tensor):
        for i, column in enumerate(value.reshape(N, -1).T):
            yield f"{name}[{i}]", column.double()
    else:
        assert isinstance(value, tuple)
        for part, field in zip(value, type(value)._fields, strict=True):  # type: ignore[attr-defined]
            yield from numbers(part, f"{name}.{field}")


@pytest.mark.parametrize("by", ["texture", "silhouette"])
def test_all_else_is_independent_of_the_class(scenes: Scenes, by: str) -> None:
    label = scenes.texture if by == "texture" else scenes.thing.kind[:, 0]
    columns = dict(numbers(scenes))
    rest = {
        name: column
        for name, column in columns.items()
        if name not in (".texture[0]", ".thing.kind[0]") and len(column.unique()) > 1
    }
    assert len(rest) > 300
    p = {
        name: stats.kruskal(*(column[label == k].numpy() for k in range(8))).pvalue
        for name, column in rest.items()
    }
    assert min(p.values()) > 0.05 / len(p), min(p, key=lambda name: p[name])
    # And the p-values are those of independence: uniform.
    assert stats.kstest(list(p.values()), "uniform").pvalue > 0.01


def test_the_order_of_the_two_colours_tells_nothing(scenes: Scenes) -> None:
    brighter = scenes.thing.colour[:, 0].mean(1) > scenes.second_colour.mean(1)
    table = [[int((brighter[scenes.texture == k] == b).sum()) for k in range(8)] for b in (0, 1)]
    assert stats.chi2_contingency(table).pvalue > 0.01
    assert 0.45 < brighter.double().mean() < 0.55


def test_distractors_resemble_no_class() -> None:
    by_texture = draw_scenes(0, "train", range(500))
    assert set(by_texture.distractors.kind.unique().tolist()) == set(range(SOLID))
    assert list(SILHOUETTES)[SOLID:] == ["ring"], "a plain ring resembles the texture of rings"
    by_shape = draw_scenes(0, "train", range(500), formless=True)
    assert (by_shape.distractors.kind == len(SILHOUETTES)).all()


def same(first: object, second: object) -> bool:
    if isinstance(first, Tensor):
        assert isinstance(second, Tensor)
        return first.equal(second)
    assert isinstance(first, tuple) and isinstance(second, tuple)
    return all(same(a, b) for a, b in zip(first, second, strict=True))


def test_a_scene_depends_on_its_own_index_alone() -> None:
    for index in (0, 63, 64, 200):
        alone = draw_scenes(3, "val", [index])
        among = draw_scenes(3, "val", range(index - index % 2, index + 130))
        assert same(alone.weave, type(alone.weave)(*(p[index % 2][None] for p in among.weave)))
        assert alone.texture[0] == among.texture[index % 2]
        assert alone.thing.kind[0] == among.thing.kind[index % 2]
        assert alone.patches.colour.equal(among.patches.colour[index % 2][None])


def test_seeds_and_splits_draw_anew() -> None:
    drawn = [draw_scenes(*which, range(64)) for which in ((0, "train"), (1, "train"), (0, "val"))]
    assert same(drawn[0], draw_scenes(0, "train", range(64)))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert not (drawn[i].sky == drawn[j].sky).any()
        assert not drawn[i].texture.equal(drawn[j].texture)


def test_the_global_generators_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    draw_scenes(0, "train", range(10))
    assert torch.get_rng_state().equal(before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]
    torch.manual_seed(1)
    first = draw_scenes(0, "train", range(10))
    torch.manual_seed(2)
    assert same(first, draw_scenes(0, "train", range(10)))
