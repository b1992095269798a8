"""Sites of the decomposition, and their names."""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass, replace

from torch import nn

from fullgrad_lightning.decomposition.axes.axis import Axis
from fullgrad_lightning.decomposition.axes.spatial_layout import Layout, Spatial
from fullgrad_lightning.decomposition.operations.bias_rules import Kind


@dataclass(frozen=True)
class Site:
    """One place of the network that contributes a bias to f(x) = ⟨∇ₓf, x⟩ + Σ f^b (equation 1).

    Attributes:
        name: Path of the module, plus the operation when it is not the module itself
            (``layer1.0.bn2``, ``layer1.0.add``, ``features.denseblock1.cat#2``).
        op: The operation (``conv2d``, ``batch_norm``, ``gelu``, …).
        kind: The origin of the bias. ``parameter`` and ``normalization`` hold the biases of
            convolutions, linear maps and norms; ``nonlinearity`` and ``product`` are implicit;
            ``constant`` is an added or inserted constant; ``not_localized`` is a bias known only
            as one number per sample.
        layout: The arrangement of the values on the image; ``None`` if there is none (vectors,
            attention scores, windows, 1×1 maps).
        shape: Shape of the values.
        position: Rank in the order of execution.
        sample_axis: The batch axis of the values; ``None`` if it could not be followed.
    """

    name: str
    op: str
    kind: Kind
    layout: Layout | None
    shape: tuple[int, ...]
    position: int
    sample_axis: Axis | None

    @property
    def spatial(self) -> Spatial | None:
        """``"NCHW"``, ``"NHWC"`` or ``"tokens"``; ``None`` for values that are not on the image."""
        return self.layout.name if self.layout else None

    def not_localized(self) -> Site:
        """The same site, with one number per sample in place of a tensor."""
        return replace(self, kind="not_localized", layout=None)


class SiteNames:
    """Names the calls of one forward pass; repeated ones become ``name#2``, ``name#3``, …"""

    def __init__(self) -> None:
        self._uses: Counter[str] = Counter()

    def name(self, path: str, module: nn.Module | None, op: str) -> str:
        base = f"{path}.{op}" if path else op
        if module is not None and path and is_operation_of_module(module, op):
            base = path
        self._uses[base] += 1
        return base if self._uses[base] == 1 else f"{base}#{self._uses[base]}"


def is_operation_of_module(module: nn.Module, op: str) -> bool:
    """Returns whether ``op`` is all that ``module`` does: ``gelu`` of a GELU."""
    if module._modules and set(module._modules) - {"parametrizations"}:
        return False
    return _normalize(op) in _class_names(type(module).__mro__)


@functools.cache
def _class_names(classes: tuple[type, ...]) -> frozenset[str]:
    return frozenset(_normalize(cls.__name__) for cls in classes)


@functools.cache
def _normalize(name: str) -> str:
    return re.sub(r"\d+d?$", "", name.lower().replace("_", ""))
