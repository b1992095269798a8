"""``fullgrad perturb`` and ``fullgrad sanity``: what the maps of a finished network are worth."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fullgrad_lightning.evaluation.components import parse_study
from fullgrad_lightning.evaluation.config import ConfigError
from fullgrad_lightning.evaluation.perturbation.config import PerturbationConfig
from fullgrad_lightning.evaluation.perturbation.run import run_benchmark
from fullgrad_lightning.evaluation.sanity.config import SanityConfig, run_check
from fullgrad_lightning.stores.base import StoreError
from fullgrad_lightning.utilities.locks import FolderInUse


def perturb(arguments: Sequence[str]) -> int:
    """Runs ``fullgrad perturb ARGUMENTS``.

    Returns:
        0; 2 if something is wrong with what was asked.
    """
    try:
        told = run_benchmark(parse_study(PerturbationConfig, arguments, "perturb"))
    except (ConfigError, StoreError, FolderInUse) as error:
        print(f"fullgrad perturb: {error}", file=sys.stderr)
        return 2
    if told:
        print(f"\n{told}")
    return 0


def sanity(arguments: Sequence[str]) -> int:
    """Runs ``fullgrad sanity ARGUMENTS``.

    Returns:
        0; 2 if something is wrong with what was asked.
    """
    try:
        told = run_check(parse_study(SanityConfig, arguments, "sanity"))
    except ConfigError as error:
        print(f"fullgrad sanity: {error}", file=sys.stderr)
        return 2
    print(f"\n{told}")
    return 0
