"""Randomness that belongs to a sample: the same alone, in any batch, in any process."""

from __future__ import annotations

import hashlib

import torch


def generator(purpose: str, seed: int, sample_id: int) -> torch.Generator:
    """The CPU generator of one sample.

    Args:
        purpose: What is drawn, so that two things drawn for a sample are independent.
        seed: Of all samples.
        sample_id: Of this one.
    """
    digest = hashlib.blake2b(f"{purpose}/{seed}/{sample_id}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))
