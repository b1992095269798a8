"""Noisy linear imputation: ROAD's way to fill holes (Rong et al., ICML 2022, §4 and their code).

Each unknown pixel is the weighted mean of its eight neighbours, known or not: direct neighbours
weigh 1/6, diagonal ones 1/12, and at the border those on the image share the weight of those that
are not. That is one linear system per image, D x = W x in the unknown pixels, with the same matrix
D − W for all channels.

Shapes: C channels, (H, W) the size of the image, U unknown pixels.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from torch import Tensor

from fullgrad_lightning.masking.draws import generator

NOISE = 0.01  # σ, as a share of full scale

Floats = NDArray[np.float64]


def noisy_linear(
    image: Tensor,
    replaced: Tensor,
    *,
    scale: float = 1.0,
    unknown: Tensor | None = None,
    sample_id: int,
    seed: int = 0,
) -> Tensor:
    """An image whose replaced pixels follow from their neighbours, with noise added.

    The noise of a pixel depends on the seed and the sample's id, not on which others are replaced.
    Values are not clipped: the images may be normalised.

    Args:
        image: (C, H, W), of any real dtype, on the CPU.
        replaced: (H, W) bool, True where a pixel is replaced.
        scale: Full scale of the image; the noise has a standard deviation of 0.01 of it.
        unknown: (C,), what is put in an image of which no pixel is known. Every constant solves the
            system then (where ROAD's code fails, or returns NaN). ``None``: 0.
        sample_id: Of the noise.
        seed: Of the noise.

    Returns:
        (C, H, W) float64.
    """
    values = image.detach().double().numpy().copy()
    hole = replaced.numpy()
    if not hole.any():
        return torch.from_numpy(values)
    if hole.all():
        values[:] = 0 if unknown is None else unknown.double().numpy()[:, None, None]
    else:
        values[:, hole] = neighbourly(values, hole)
    own = generator("noise", seed, sample_id)
    noise = torch.randn(image.shape, generator=own, dtype=torch.float32)
    values[:, hole] += scale * NOISE * noise.double().numpy()[:, hole]
    return torch.from_numpy(values)


def neighbourly(image: Floats, hole: NDArray[np.bool_]) -> Floats:
    """The values in a hole of which each is the weighted mean of its neighbours.

    By Cholesky's method for banded matrices: on images up to some 256 pixels wide faster than
    scipy's general sparse solvers and conjugate gradients. It takes 8·U·min(H, W) bytes.

    Args:
        image: (C, H, W); what is in the hole is not looked at.
        hole: (H, W) bool, at least one pixel of which is not in it.

    Returns:
        (C, U), in the order of ``image[:, hole]``.
    """
    height, width = hole.shape
    if width > height:  # the bandwidth is the length of a row
        upright = np.zeros(image.shape).transpose(0, 2, 1)
        upright[:, hole.T] = neighbourly(image.transpose(0, 2, 1), hole.T)
        return upright.transpose(0, 2, 1)[:, hole]
    weights = weighted_sum(np.ones((1, height, width)))[0][hole]
    known = weighted_sum(np.where(hole, 0.0, image))[:, hole]

    number = np.cumsum(hole).reshape(-1) - 1  # of each unknown pixel, in the order of the rows
    first, second, weight = edges(height, width)
    inner = hole.reshape(-1)[first] & hole.reshape(-1)[second]
    row, column, weight = number[first[inner]], number[second[inner]], weight[inner]
    band = int((column - row).max(initial=0))
    # Symmetric and positive definite: every hole borders on a known pixel. LAPACK's upper form,
    # a column for each unknown: the diagonal in the last row, and above it what is left of it.
    matrix = np.zeros((band + 1, len(weights)), order="F")
    matrix[band] = weights
    matrix[band + row - column, column] = -weight
    solution: Floats = solveh_banded(
        matrix, known.T, overwrite_ab=True, overwrite_b=True, check_finite=False
    )
    return solution.T


def weighted_sum(values: Floats) -> Floats:
    """Σ over each pixel's neighbours on the image, direct ones twice; (C, H, W) to the same."""
    # (1, 2, 1) along both axes weighs direct neighbours 2, diagonal ones 1 and the pixel itself 4.
    summed = values
    for axis in (1, 2):
        along = np.moveaxis(summed, axis, 0)
        result = 2 * along
        result[1:] += along[:-1]
        result[:-1] += along[1:]
        summed = np.moveaxis(result, 0, axis)
    return summed - 4 * values


@lru_cache(maxsize=4)
def edges(
    height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All pairs of neighbours of an image: first pixel < second pixel (E,), and their weight (E,).

    Weights are those of ``weighted_sum``; pixels are numbered row by row.
    """
    grid = np.arange(height * width).reshape(height, width)
    pairs = (
        (grid[:, :-1], grid[:, 1:], 2.0),
        (grid[:-1], grid[1:], 2.0),
        (grid[:-1, :-1], grid[1:, 1:], 1.0),
        (grid[:-1, 1:], grid[1:, :-1], 1.0),
    )
    first = np.concatenate([one.reshape(-1) for one, _, _ in pairs])
    second = np.concatenate([other.reshape(-1) for _, other, _ in pairs])
    weight = np.concatenate([np.full(one.size, weight) for one, _, weight in pairs])
    return first, second, weight
