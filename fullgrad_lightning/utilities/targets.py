"""The class that is explained, as users name it: ``"predicted"``, ``"label"`` or a class index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fullgrad_lightning.utilities.checks import is_int

if TYPE_CHECKING:
    from torch import Tensor

TargetSpec = Literal["predicted", "label"] | int


def check_target(target: object) -> None:
    """Checks a target.

    Examples:
        >>> check_target(-1)
        Traceback (most recent call last):
        ValueError: target must be 'predicted', 'label' or a class index ≥ 0, got -1.
    """
    if not (isinstance(target, str) and target in ("predicted", "label")) and not is_int(target, 0):
        raise ValueError(
            f"target must be 'predicted', 'label' or a class index ≥ 0, got {target!r}."
        )


def resolve_target(target: TargetSpec, labels: Tensor | None) -> Tensor | int | None:
    """Translates a checked target into one of saliency methods, given the labels (N,), if any.

    Returns:
        ``None`` (the top class of each sample), the labels as int64 (N,), or the class index.
    """
    if target == "predicted":
        return None
    if isinstance(target, int):
        return target
    if labels is None or labels.ndim != 1 or labels.is_floating_point():
        raise TypeError(
            "target='label' needs class indices (N,) in each batch. Add them to the samples, or "
            "use target='predicted'."
        )
    return labels.long()
