"""Seeds that follow from what they are for: the same in every process, batch and run."""

from __future__ import annotations

import hashlib


def derive_seed(words: str | bytes) -> int:
    """A signed 64-bit number for some words, as good as any other for each of them.

    Examples:
        >>> derive_seed("noise/0/1") == derive_seed(b"noise/0/1") != seed_of("noise/0/2")
        True
    """
    content = words.encode() if isinstance(words, str) else words
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)
