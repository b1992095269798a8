"""Why a store of ranks refuses."""

from __future__ import annotations


class StoreError(ValueError):
    """A store that cannot be used as it was meant to be."""


class StoreMismatch(StoreError):
    """What is there was made from something else."""


class IncompleteStore(StoreError):
    """Rows are missing: the job that writes them has not ended."""


class DamagedStore(StoreError):
    """Files that are not as they were written."""
