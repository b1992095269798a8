"""Optimizers and learning rate schedules by name."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Literal, get_args

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from fullgrad_lightning.utilities.checks import check_choice

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
    """Builds SGD with Nesterov's momentum (plain SGD if that is 0), or AdamW with it as β₁."""
    if name == "adamw":
        return AdamW(parameters, lr, betas=(momentum, 0.999), weight_decay=weight_decay)
    return SGD(parameters, lr, momentum, weight_decay=weight_decay, nesterov=momentum > 0)


def build_schedule(
    name: Literal["cosine", "onecycle"], optimizer: Optimizer, steps: int
) -> LRScheduler:
    """Builds a schedule over the whole training, stepped after each optimizer step.

    ``"cosine"``: from the learning rate down to 0. ``"onecycle"``: up from 1/25 of it for the first
    30 % of the steps, then down to 0 (Smith & Topin 2019).
    """
    if name == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    peak = optimizer.param_groups[0]["lr"]
    return OneCycleLR(optimizer, peak, total_steps=steps, cycle_momentum=False)


def check_optimization(
    optimizer: str, schedule: str, *, lr: float, momentum: float, weight_decay: float
) -> None:
    """Checks the options of ``build_optimizer`` and ``build_schedule``."""
    check_choice("optimizer", optimizer, get_args(OptimizerName))
    check_choice("schedule", schedule, get_args(ScheduleName))
    for option, is_valid, value, bounds in (
        ("lr", 0 < lr < inf, lr, "> 0 and finite"),
        ("momentum", 0 <= momentum < 1, momentum, "≥ 0 and < 1"),
        ("weight_decay", 0 <= weight_decay < inf, weight_decay, "≥ 0 and finite"),
    ):
        if not is_valid:
            raise ValueError(f"{option} must be {bounds}, got {value!r}.")
