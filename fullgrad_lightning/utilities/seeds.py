"""Seeds that follow from what they are for: the same in every process, batch and run."""

from __future__ import annotations

import hashlib


def seed_of(words: str | bytes) -> int:
    """A signed 64-bit number for some words, as good as any other for each of them.

    Examples:
        >>> seed_of("noise/0/1") == seed_of(b"noise/0/1") != seed_of("noise/0/2")
        True
    """
    content = words.encode() if isinstance(words, str) else words
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)
