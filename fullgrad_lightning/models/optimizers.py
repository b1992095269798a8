"""Optimizers and learning rate schedules by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

OptimizerName = Literal["sgd", "adamw"]
ScheduleName = Literal["cosine", "onecycle", "none"]


def build_optimizer(
    name: OptimizerName,
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Optimizer:
    """``"sgd"`` with Nesterov's momentum (plain if that is 0), or ``"adamw"``.

    Args:
        name: Which.
        parameters: What it optimises.
        lr: Learning rate.
        momentum: Of SGD; AdamW has β₁ = momentum, β₂ = 0.999.
        weight_decay: On all parameters.
    """
    if name == "adamw":
        return AdamW(parameters, lr, betas=(momentum, 0.999), weight_decay=weight_decay)
    return SGD(parameters, lr, momentum, weight_decay=weight_decay, nesterov=momentum > 0)


def build_schedule(name: ScheduleName, optimizer: Optimizer, steps: int) -> LRScheduler | None:
    """A schedule over the whole training, stepped after each optimizer step.

    Args:
        name: ``"cosine"``: from the learning rate down to 0. ``"onecycle"``: up from 1/25 of it for
            the first 30 % of the steps, then down to 0 (Smith & Topin 2019). ``"none"``.
        optimizer: Whose learning rate is set.
        steps: Number of optimizer steps.
    """
    if name == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    if name == "onecycle":
        peak = optimizer.param_groups[0]["lr"]
        return OneCycleLR(optimizer, peak, total_steps=steps, cycle_momentum=False)
    return None


def validate_optimization(
    optimizer: str, schedule: str, *, lr: float, momentum: float, weight_decay: float
) -> None:
    """Checks the options of the two above.

    Raises:
        ValueError: An option that does not exist or is out of range.
    """
    for option, came, allowed in (
        ("optimizer", optimizer, ("sgd", "adamw")),
        ("schedule", schedule, ("cosine", "onecycle", "none")),
    ):
        if came not in allowed:
            raise ValueError(f"{option} must be one of {allowed}, got {came!r}.")
    for option, number, low, high in (
        ("lr", lr, 0.0, float("inf")),
        ("momentum", momentum, 0.0, 1.0),
        ("weight_decay", weight_decay, 0.0, float("inf")),
    ):
        if not low <= number < high or (option == "lr" and number == 0):
            bound = "> 0" if option == "lr" else f"≥ {low:g}"
            below = "finite" if high == float("inf") else f"< {high:g}"
            raise ValueError(f"{option} must be {bound} and {below}, got {number!r}.")
