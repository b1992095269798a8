"""Randomness that belongs to a sample: the same alone, in any batch, in any process."""

from __future__ import annotations

import torch

from fullgrad_lightning.utilities.seeds import derive_seed


def generator(purpose: str, seed: int, sample_id: int) -> torch.Generator:
    """The CPU generator of one sample.

    Args:
        purpose: What is drawn, so that two things drawn for a sample are independent.
        seed: Of all samples.
        sample_id: Of this one.
    """
    return torch.Generator().manual_seed(derive_seed(f"{purpose}/{seed}/{sample_id}"))
