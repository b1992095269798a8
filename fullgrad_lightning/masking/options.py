"""Names of the fills and of the orders of pixels. Imports no torch: configurations use them."""

from __future__ import annotations

from typing import Literal, get_args

Fill = Literal["mean", "black", "blur", "noisy_linear"]
Order = Literal["least_salient", "most_salient"]

FILLS: tuple[Fill, ...] = get_args(Fill)
ORDERS: tuple[Order, ...] = get_args(Order)
