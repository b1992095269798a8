"""Options of the explanations of a ``FullGradMonitor``, checked when they are set."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from fullgrad_lightning.decomposition import IncompleteDecomposition
from fullgrad_lightning.saliency.base import SaliencyMethod
from fullgrad_lightning.saliency.fullgrad import FullGrad
from fullgrad_lightning.saliency.registry import saliency_method
from fullgrad_lightning.utilities.checks import check_choice, check_int
from fullgrad_lightning.utilities.targets import TargetSpec, check_target


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """Options of the explanations; ``FullGradMonitor`` documents them.

    Args:
        methods: The saliency methods by name, the main one first; see ``create_methods``.

    Raises:
        ValueError: An option out of range.
    """

    methods: dict[str, SaliencyMethod]
    target: TargetSpec
    layer_maps: bool
    residual_samples: int
    tolerance: float | None
    on_incomplete: Literal["warn", "error", "ignore"]

    def __post_init__(self) -> None:
        check_target(self.target)
        check_int("residual_samples", self.residual_samples, 1)
        check_choice("on_incomplete", self.on_incomplete, ("warn", "error", "ignore"))
        if self.tolerance is not None and not self.tolerance > 0:
            raise ValueError(
                f"tolerance must be a relative residual > 0, or None for the default of the dtype, "
                f"got {self.tolerance!r}."
            )

    @contextmanager
    def report_incompleteness(self) -> Iterator[float | None]:
        """Handles ``IncompleteDecomposition`` warnings as ``on_incomplete`` says.

        Yields:
            The tolerance of the decompositions inside.
        """
        with warnings.catch_warnings():
            if self.on_incomplete != "warn":
                warnings.simplefilter(self.on_incomplete, IncompleteDecomposition)
            yield math.inf if self.on_incomplete == "ignore" else self.tolerance


def create_methods(
    method: str,
    method_options: dict[str, Any] | None,
    methods: Sequence[str],
    postprocess: str | None,
) -> dict[str, SaliencyMethod]:
    """Creates the saliency methods of a monitor.

    Args:
        method: Name of the main method.
        method_options: Options of the main method.
        methods: Names of more methods.
        postprocess: ψ of FullGrad and its variants; ``method_options`` takes precedence.

    Returns:
        The methods by name, the main one first.

    Raises:
        TypeError, ValueError: No such method, or an option that it does not have or that is out of
            range.
    """
    if isinstance(methods, str):
        raise ValueError(f"methods must be a list of names, got {methods!r}.")
    created = {}
    for name in (method, *methods):
        options = (method_options or {}) if name == method else {}
        created_method = saliency_method(name, **options)
        has_psi = isinstance(created_method, FullGrad)
        if has_psi and postprocess is not None and "postprocess" not in options:
            created_method = saliency_method(name, **options, postprocess=postprocess)
        created[name] = created_method
    if postprocess is not None and not any(isinstance(m, FullGrad) for m in created.values()):
        raise ValueError(
            "postprocess belongs to fullgrad and its variants; none of them is among the methods "
            f"{', '.join(created)}."
        )
    return created
