"""Noisy linear imputation of ROAD (Rong et al., ICML 2022, §4 and their code).

Each unknown pixel is the weighted mean of its eight neighbours, known or unknown: direct neighbours
have weight 1/6, diagonal ones 1/12; at the border, the neighbours on the image share the weight of
the missing ones. This is one linear system per image, D x = W x in the unknown pixels, with the
same matrix D − W for all channels.

Shapes: C channels, (H, W) the size of the image, U unknown pixels.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from torch import Tensor

from fullgrad_lightning.utilities.seeds import sample_generator

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
    """Imputes the replaced pixels of an image from their neighbours, and adds noise.

    The noise of a pixel depends on the seed and the sample's id, not on which others are replaced.
    Values are not clipped: the images may be normalised.

    Args:
        image: (C, H, W), of any real dtype, on the CPU.
        replaced: (H, W) bool, True where a pixel is replaced.
        scale: Full scale of the image; the noise has a standard deviation of 0.01 of it.
        unknown: (C,) values for an image without a known pixel, where every constant solves the
            system (and ROAD's code fails, or returns NaN). ``None``: 0.
        sample_id: Id of the sample, from which the noise is drawn.
        seed: Seed of the noise.

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
        values[:, hole] = interpolate_hole(values, hole)
    generator = sample_generator("noise", seed, sample_id)
    noise = torch.randn(image.shape, generator=generator, dtype=torch.float32)
    values[:, hole] += scale * NOISE * noise.double().numpy()[:, hole]
    return torch.from_numpy(values)


def interpolate_hole(image: Floats, hole: NDArray[np.bool_]) -> Floats:
    """Computes the values in a hole of which each is the weighted mean of its neighbours.

    Uses the Cholesky decomposition of a banded matrix: on images up to about 256 pixels wide it is
    faster than scipy's general sparse solvers and conjugate gradients. Takes 8·U·min(H, W) bytes.

    Args:
        image: (C, H, W); values in the hole are ignored.
        hole: (H, W) bool, False for at least one pixel.

    Returns:
        (C, U), in the order of ``image[:, hole]``.
    """
    height, width = hole.shape
    if width > height:  # the bandwidth is the length of a row
        upright = np.zeros(image.shape).transpose(0, 2, 1)
        upright[:, hole.T] = interpolate_hole(image.transpose(0, 2, 1), hole.T)
        return upright.transpose(0, 2, 1)[:, hole]
    weights = sum_neighbours(np.ones((1, height, width)))[0][hole]
    from_known = sum_neighbours(np.where(hole, 0.0, image))[:, hole]

    number = np.cumsum(hole).reshape(-1) - 1  # of each unknown pixel, row by row
    first, second, weight = neighbour_pairs(height, width)
    inner = hole.reshape(-1)[first] & hole.reshape(-1)[second]
    row, column, weight = number[first[inner]], number[second[inner]], weight[inner]
    band = int((column - row).max(initial=0))
    # The matrix is symmetric and positive definite, because every hole borders on a known pixel.
    # LAPACK's upper form has a column for each unknown, with the diagonal in the last row.
    matrix = np.zeros((band + 1, len(weights)), order="F")
    matrix[band] = weights
    matrix[band + row - column, column] = -weight
    solution: Floats = solveh_banded(
        matrix, from_known.T, overwrite_ab=True, overwrite_b=True, check_finite=False
    )
    return solution.T


def sum_neighbours(values: Floats) -> Floats:
    """Sums the neighbours of each pixel, direct ones twice; (C, H, W) to (C, H, W)."""
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
def neighbour_pairs(
    height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Returns all pairs of neighbours: first pixel < second pixel (E,), and their weight (E,).

    Weights are those of ``sum_neighbours``; pixels are numbered row by row.
    """
    grid = np.arange(height * width).reshape(height, width)
    pairs = (
        (grid[:, :-1], grid[:, 1:], 2.0),
        (grid[:-1], grid[1:], 2.0),
        (grid[:-1, :-1], grid[1:, 1:], 1.0),
        (grid[:-1, 1:], grid[1:, :-1], 1.0),
    )
    first = np.concatenate([first.reshape(-1) for first, _, _ in pairs])
    second = np.concatenate([second.reshape(-1) for _, second, _ in pairs])
    weight = np.concatenate([np.full(first.size, weight) for first, _, weight in pairs])
    return first, second, weight
