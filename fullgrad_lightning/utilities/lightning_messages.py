"""Suppression of Lightning's messages about devices and loaders where they are expected."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def suppress_lightning_messages(warning_patterns: Iterable[str] = ("",)) -> Iterator[None]:
    """Suppresses Lightning's log messages about devices, and warnings.

    The patterns are regular expressions, matched at the beginning of a warning; default: all.
    """
    log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = log.level
    with warnings.catch_warnings():
        for pattern in warning_patterns:
            warnings.filterwarnings("ignore", message=pattern)
        log.setLevel(logging.WARNING)
        try:
            yield
        finally:
            log.setLevel(level)
