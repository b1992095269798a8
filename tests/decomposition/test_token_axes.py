"""The image among tokens: each token carries its own number, which tells where it went.

Numbers 0 … h·w − 1 are the image, in rows; all others are negative.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import Axes, Axis, Grid, Operand, Part, Shape
from fullgrad_lightning.decomposition.axes.token_axes import tokens_after_cat, tokens_after_slice
from fullgrad_lightning.decomposition.operations.call_recording import record_call

H, W = 3, 4
N, C, HEADS = 2, 5, 6
# (N, L, C), (L, N, C), (N, heads, L, d), (N, C, L), (L, C): where the tokens stand.
LAYOUTS: list[tuple[tuple[int, ...], int]] = [
    ((N, 0, C), 1),
    ((0, N, C), 0),
    ((N, HEADS, 0, C), 2),
    ((N, C, 0), 2),
    ((0, C), 0),
]
every_layout = pytest.mark.parametrize(("shape", "dim"), LAYOUTS)


def numbered(numbers: list[int], shape: Shape, dim: int) -> Tensor:
    """A tensor of which every element holds the number of its token."""
    view = [1] * len(shape)
    view[dim] = len(numbers)
    full = [*shape[:dim], len(numbers), *shape[dim + 1 :]]
    return torch.tensor(numbers).view(view).expand(full).contiguous()


def image(shape: Shape, dim: int) -> tuple[Tensor, Axes]:
    """The tokens of an image alone, and its axes in their row-major numbering."""
    tokens = numbered(list(range(H * W)), shape, dim)
    below = tokens[(0,) * (dim + 1)].numel()
    return tokens, {"height": Axis((Part(H, W * below),)), "width": Axis((Part(W, below),))}


def concatenation(parts: list[Tensor], dim: int, *axes: tuple[int, Axes]) -> tuple[Axes, Tensor]:
    """``tokens_after_cat`` of a ``cat``, of which some parts are activations with these axes."""
    call = record_call(torch.cat, (parts, dim), {}, lambda tensor: False)
    out = torch.cat(parts, dim)
    return tokens_after_cat(call, [Operand(parts[i], a, i) for i, a in axes], out), out


def assert_axes_find_the_image(axes: Axes, out: Tensor) -> None:
    """Every element that the axes place on the image holds the number of that pixel."""
    element, numbers = torch.arange(out.numel()), out.flatten()

    def index(name: str) -> Tensor:
        (part,) = axes[name].parts
        return element // part.stride % part.size

    if "tokens" in axes:
        grid, place = axes["tokens"].grid, index("tokens")
        assert grid is not None and (grid.height, grid.width) == (H, W)
        on_image = (place >= grid.first) & (place < grid.first + H * W)
        assert torch.equal(numbers[on_image], place[on_image] - grid.first)
        assert (numbers[~on_image] < 0).all() and on_image.any()
    else:
        assert torch.equal(numbers, index("height") * W + index("width"))


@every_layout
@pytest.mark.parametrize(("front", "behind"), [(1, 0), (0, 1), (4, 0), (2, 3)])
def test_others_join_an_image(shape: Shape, dim: int, front: int, behind: int) -> None:
    tokens, axes = image(shape, dim)
    others = [numbered([-1] * n, shape, dim) for n in (front, behind)]
    parts = [part for part in (others[0], tokens, others[1]) if part.shape[dim]]
    place = 1 if front else 0
    for d in (dim, dim - tokens.ndim):
        found, out = concatenation(parts, d, (place, axes))
        assert list(found) == ["tokens"]
        assert_axes_find_the_image(found, out)


@every_layout
def test_others_join_a_second_time(shape: Shape, dim: int) -> None:
    tokens, axes = image(shape, dim)
    other = numbered([-1, -2], shape, dim)
    axes, tokens = concatenation([other, tokens], dim, (1, axes))
    axes, out = concatenation([other, tokens, other], dim, (1, axes))
    assert axes["tokens"].grid == Grid(4, H, W)
    assert_axes_find_the_image(axes, out)


def test_what_joins_along_another_dimension_leaves_the_tokens_alone() -> None:
    for channels in (C, H * W):  # as many as tokens, too
        tokens, axes = image((N, 0, channels), 1)
        for dim in (0, 2):
            assert concatenation([tokens, tokens], dim, (0, axes))[0] == {}


def test_two_images_in_one_sequence_have_no_common_place() -> None:
    tokens, axes = image((N, 0, C), 1)
    assert concatenation([tokens, tokens], 1, (0, axes), (1, axes))[0] == {}
    # One activation alone is the image, whatever constants stand beside it.
    found, _ = concatenation([tokens, tokens], 1, (1, axes))
    assert found["tokens"].grid == Grid(H * W, H, W)


def test_an_image_on_two_dimensions_is_no_sequence() -> None:
    """(N, h, w, C), joined by rows to something else."""
    pixels = torch.zeros(N, H, W, C)
    axes = {"height": Axis((Part(H, W * C),)), "width": Axis((Part(W, C),))}
    for dim in (1, 2):
        assert concatenation([pixels, pixels], dim, (0, axes))[0] == {}


def test_an_image_cut_into_windows_is_no_sequence() -> None:
    tokens, _ = image((N, 0, C), 1)
    rows = Axis((Part(2, 6 * C), Part(2, 2 * C)))
    columns = Axis((Part(3, 4 * C), Part(2, C)))
    axes = {"height": rows, "width": columns}
    assert concatenation([tokens[:, :1], tokens], 1, (1, axes))[0] == {}


def test_tokens_that_hold_pixels_of_a_patch_are_not_followed() -> None:
    """(N, h·w, p·p·c), before the patches are embedded: rows go on within the channels."""
    tokens, axes = image((N, 0, C), 1)
    for name in ("height", "width"):
        finer = {**axes, name: Axis((*axes[name].parts, Part(2, 1)))}
        assert concatenation([tokens[:, :1], tokens], 1, (1, finer))[0] == {}


def test_columns_before_rows_are_no_image() -> None:
    tokens, _ = image((N, 0, C), 1)
    axes = {"height": Axis((Part(H, C),)), "width": Axis((Part(W, H * C),))}
    assert concatenation([tokens[:, :1], tokens], 1, (1, axes))[0] == {}


def test_a_single_part_joins_nothing() -> None:
    tokens, axes = image((N, 0, C), 1)
    assert concatenation([tokens], 1, (0, axes))[0] == {}


def test_dimensions_by_name_are_not_followed() -> None:
    call = record_call(torch.cat, ([torch.zeros(2, 3)],), {"dim": "tokens"}, lambda tensor: False)
    assert tokens_after_cat(call, [], torch.zeros(2, 3)) == {}


def sequence(
    shape: Shape, dim: int, front: int = 2, behind: int = 3
) -> tuple[Tensor, Axis, list[int]]:
    """Other tokens around an image, their axis, and the number of each."""
    numbers = [-1] * front + list(range(H * W)) + [-1] * behind
    tokens = numbered(numbers, shape, dim)
    part = Part(len(numbers), tokens[(0,) * (dim + 1)].numel())
    return tokens, Axis((part,), Grid(front, H, W)), numbers


@every_layout
def test_every_slice(shape: Shape, dim: int) -> None:
    """A slice that holds the whole image is followed, one that does not is dropped."""
    tokens, axis, numbers = sequence(shape, dim)
    followed = 0
    for first, stop in itertools.combinations(range(len(numbers) + 1), 2):
        part = tokens.narrow(dim, first, stop - first)
        axes = tokens_after_slice(tokens, axis, part)
        whole = set(range(H * W)) <= set(numbers[first:stop]) and len(part.unique()) > 1
        if first == 0 and stop == len(numbers):
            continue  # nothing is sliced off: never asked
        assert bool(axes) == whole, (first, stop)
        if axes:
            assert_axes_find_the_image(axes, part)
            assert ("tokens" in axes) == (stop - first > H * W)
            followed += 1
    assert followed == 3 * 4 - 1


SLICES: dict[str, Callable[[Tensor], Tensor]] = {
    "channels too": lambda t: t[:, 2:, 1:4],
    "samples too": lambda t: t[1:, 1:],
    "one sample": lambda t: t[1, 2:],
    "one channel": lambda t: t[:, 2:14, 3],
    "a new dimension": lambda t: t[:, None, 2:],
    "a new dimension of the same stride": lambda t: t[:, 2:, None],
    "moved": lambda t: t[:, 1:].transpose(1, 2),
    "to the front": lambda t: t[:, 2:14].permute(1, 2, 0),
}


# The same numbering of elements, laid out in memory in another way.
MEMORY: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda t: t,
    "channels first": lambda t: t.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "samples last": lambda t: t.permute(2, 1, 0).contiguous().permute(2, 1, 0),
    "a part itself": lambda t: torch.cat([t[:, -1:], t], 1)[:, 1:],
    "expanded": lambda t: t[:1].expand(N, -1, -1),
    "one sample of an odd stride": lambda t: t[:1].as_strided((1, *t.shape[1:]), (C + 2, C, 1)),
}


@pytest.mark.parametrize(
    ("memory", "name"),
    [(m, s) for m in MEMORY for s in SLICES if "one sample" not in m or "sample" not in s],
)
def test_slices_of_other_dimensions_too(memory: str, name: str) -> None:
    tokens, axis, _ = sequence((N, 0, C), 1)
    tokens = MEMORY[memory](tokens)
    part = SLICES[name](tokens)
    axes = tokens_after_slice(tokens, axis, part)
    assert axes
    assert_axes_find_the_image(axes, part)


def test_slices_that_are_no_longer_an_image() -> None:
    tokens, axis, _ = sequence((N, 0, C), 1)
    for part in (tokens[:, ::2], tokens[:, 0], tokens[:, 3:], tokens[:, :5], tokens[:, 2:13]):
        assert tokens_after_slice(tokens, axis, part) == {}


def test_what_is_not_a_view_is_not_followed() -> None:
    tokens, axis, _ = sequence((N, 0, C), 1)
    assert tokens_after_slice(tokens, axis, tokens[:, 2:].clone()) == {}
    assert tokens_after_slice(tokens, axis, tokens[:, 2:].flip(1)) == {}


def test_a_dimension_of_the_same_stride_and_a_shorter_length_is_not_guessed() -> None:
    """Sliding windows, as ``as_strided`` makes them, leave two places possible."""
    tokens, axis, _ = sequence((N, 0, C), 1)
    twice = tokens.as_strided((N, 15, 3, C), (tokens.stride(0), C, C, 1))
    assert tokens_after_slice(tokens, axis, twice) == {}


def test_tokens_without_a_known_grid_or_dimension() -> None:
    tokens, axis, _ = sequence((N, 0, C), 1)
    part = tokens[:, 2:]
    assert tokens_after_slice(tokens, Axis(axis.parts), part) == {}
    elsewhere = Axis((Part(axis.size, 1),), axis.grid)
    assert tokens_after_slice(tokens, elsewhere, part) == {}


def test_the_first_dimension_is_the_default() -> None:
    tokens, axes = image((0, C), 0)
    parts = [numbered([-1], (0, C), 0), tokens]
    call = record_call(torch.cat, (parts,), {}, lambda tensor: False)
    found = tokens_after_cat(call, [Operand(tokens, axes, 1)], torch.cat(parts))
    assert_axes_find_the_image(found, torch.cat(parts))
