"""Finds accuracy and loss among the metrics that a model logs in a test."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_ACCURACY = re.compile(r"accuracy|(?<![a-z])acc(?![a-z])", re.IGNORECASE)


def find_accuracy(metrics: Mapping[str, float]) -> float:
    """Returns ``test/accuracy``, or the first metric with "accuracy" or the word "acc" in its name.

    Args:
        metrics: The metrics of the first test loader, as ``trainer.test`` returns them.

    Raises:
        ValueError: No metric has such a name, or its value is not in 0…1.

    Examples:
        >>> find_accuracy({"test_loss": 0.5, "test_acc": 0.75})
        0.75
    """
    names = [name for name in metrics if _ACCURACY.search(name)]
    if not names:
        raise ValueError(
            "The model logs no test accuracy, which a ROAR grid compares. Log it in test_step, as "
            f'"test/accuracy". Logged metrics: {", ".join(metrics) or "none"}.'
        )
    name = "test/accuracy" if "test/accuracy" in names else names[0]
    value = float(metrics[name])
    if not 0 <= value <= 1:
        raise ValueError(f"The test accuracy {name!r} must be in 0…1, got {value}.")
    return value


def find_loss(metrics: Mapping[str, float]) -> float | None:
    """Returns ``test/loss``, or the first metric with "loss" in its name.

    Returns:
        ``None`` if no metric has such a name, or its value is not finite.

    Examples:
        >>> find_loss({"test_loss": 0.5, "test_acc": 0.75})
        0.5
    """
    names = [name for name in metrics if "loss" in name.lower()]
    if not names:
        return None
    value = float(metrics["test/loss" if "test/loss" in names else names[0]])
    return value if math.isfinite(value) else None
