"""The choices of users when pixels are replaced. Imports no torch."""

from __future__ import annotations

from typing import Literal

Fill = Literal["mean", "black", "blur", "noisy_linear"]
Order = Literal["most_salient", "least_salient"]
