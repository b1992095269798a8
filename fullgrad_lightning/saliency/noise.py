"""Noise of a sample: the same alone, in any batch, in any process."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.seeds import derive_seed, sample_generator


def resolve_sample_ids(x: Tensor, sample_ids: Tensor | None) -> list[int]:
    """Returns the N ids from which stochastic methods draw; default: a hash of each sample."""
    if sample_ids is None:
        rows = x.detach().cpu().contiguous().flatten(1).view(torch.uint8).numpy()
        return [derive_seed(row.tobytes()) for row in rows]
    if sample_ids.shape != (len(x),) or sample_ids.is_floating_point():
        raise ValueError(
            f"sample_ids must hold one integer per sample, shape ({len(x)},), got "
            f"{sample_ids.dtype} of shape {tuple(sample_ids.shape)}."
        )
    return [int(i) for i in sample_ids.tolist()]


def gaussian_noise(x: Tensor, seed: int, sample_id: int, draws: Sequence[int]) -> Tensor:
    """Draws standard normal noise of one sample x (C, H, W): (len(draws), C, H, W), like x.

    It is drawn on the CPU, so that it is the same on every device.
    """
    # In float32 even where torch's default is another, as under Lightning's precision="64-true".
    rows = [
        torch.randn(x.shape, generator=sample_generator(seed, sample_id, i), dtype=torch.float32)
        for i in draws
    ]
    return torch.stack(rows).to(x)


def noise_scale(x: Tensor, noise_level: float) -> Tensor:
    """Returns σ, (N,): noise_level · (max − min) of each image (Smilkov et al. 2017)."""
    flat = x.flatten(1)
    return noise_level * (flat.amax(1) - flat.amin(1))


def check_noise_options(
    n_samples: int, noise_level: float, seed: int, internal_batch_size: int
) -> None:
    """Checks the options of methods that average over noisy copies."""
    check_int("n_samples", n_samples, 1)
    if isinstance(noise_level, bool) or not 0 <= noise_level < float("inf"):
        raise ValueError(
            f"noise_level must be ≥ 0, a share of each image's range, got {noise_level!r}."
        )
    check_int("seed", seed)
    check_int("internal_batch_size", internal_batch_size, 1)
