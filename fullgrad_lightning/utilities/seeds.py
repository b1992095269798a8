"""Seeds derived from what they are for: the same in every process, batch and run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator


def derive_seed(text: str | bytes) -> int:
    """Derives a signed 64-bit seed from a string by hashing it.

    Examples:
        >>> derive_seed("noise/0/1") == derive_seed(b"noise/0/1") != derive_seed("noise/0/2")
        True
    """
    content = text.encode() if isinstance(text, str) else text
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def sample_generator(*parts: str | int) -> Generator:
    """Builds the CPU generator of one sample and purpose, the same alone and in any batch.

    The parts distinguish its random numbers from all others: the purpose, the method's seed, the
    sample's id, the number of the draw.

    Examples:
        >>> sample_generator("noise", 0, 7).initial_seed() == derive_seed("noise/0/7") % 2**64
        True
    """
    import torch

    return torch.Generator().manual_seed(derive_seed("/".join(map(str, parts))))
