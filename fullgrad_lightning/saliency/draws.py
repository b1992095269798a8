"""Randomness that belongs to a sample: the same alone, in any batch, in any process."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullgrad_lightning.utilities.seeds import derive_seed


def sample_ids_of(x: Tensor, sample_ids: Tensor | None) -> list[int]:
    """The ids from which stochastic methods draw, one for each sample of x.

    Args:
        x: (N, …).
        sample_ids: (N,) integers; ``None``: a hash of the bytes of each sample.

    Raises:
        ValueError: Not N integers.
    """
    if sample_ids is None:
        rows = x.detach().cpu().contiguous().flatten(1).view(torch.uint8).numpy()
        return [derive_seed(row.tobytes()) for row in rows]
    if sample_ids.shape != (len(x),) or sample_ids.is_floating_point():
        raise ValueError(
            f"sample_ids must hold one integer per sample, shape ({len(x)},), got "
            f"{sample_ids.dtype} of shape {tuple(sample_ids.shape)}."
        )
    return [int(i) for i in sample_ids.tolist()]


def generator(seed: int, sample_id: int, draw: int = 0) -> torch.Generator:
    """The CPU generator of draw number ``draw`` of one sample."""
    return torch.Generator().manual_seed(derive_seed(f"{seed}/{sample_id}/{draw}"))


def gaussian_noise(x: Tensor, seed: int, sample_id: int, draws: Sequence[int]) -> Tensor:
    """Standard normal noise for some draws of one sample.

    Args:
        x: One sample, (C, H, W), which tells shape, dtype and device.
        seed: Of the method.
        sample_id: Of the sample.
        draws: Numbers of the draws.

    Returns:
        (len(draws), C, H, W). Drawn on the CPU, so that it is the same on every device.
    """
    # Whatever torch's default dtype is, which Lightning's precision="64-true" changes.
    rows = [
        torch.randn(x.shape, generator=generator(seed, sample_id, i), dtype=torch.float32)
        for i in draws
    ]
    return torch.stack(rows).to(x)


def noise_scale(x: Tensor, noise_level: float) -> Tensor:
    """σ = noise_level · (max − min) of each image (Smilkov et al. 2017); (N, C, H, W) to (N,)."""
    flat = x.flatten(1)
    return noise_level * (flat.amax(1) - flat.amin(1))
