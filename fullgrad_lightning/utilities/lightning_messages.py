"""Silence where what Lightning says of devices and loaders is known, and would only frighten."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def suppress_lightning_messages(beginnings: Iterable[str] = ("",)) -> Iterator[None]:
    """Without Lightning's remarks on devices, and without some warnings.

    Args:
        beginnings: Regular expressions of how these warnings begin; default: all of them.
    """
    log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = log.level
    with warnings.catch_warnings():
        for beginning in beginnings:
            warnings.filterwarnings("ignore", message=beginning)
        log.setLevel(logging.WARNING)
        try:
            yield
        finally:
            log.setLevel(level)
