"""Sites of the decomposition, named for the modules whose forward is running."""

from __future__ import annotations

import functools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from fullgrad_lightning.decomposition.axes.axis import Axis, Layout, Spatial
from fullgrad_lightning.decomposition.operations.bias_rules import Kind

Scope = tuple[str, nn.Module | None]  # path of a module, and the module


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


class ModuleScopes:
    """Tracks in which module of a network calls are made."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}
        self._scopes: list[Scope] = [("", None)]

    @property
    def current(self) -> Scope:
        return self._scopes[-1]

    @contextmanager
    def track(self, model: object, on_output: Callable[[object], None]) -> Iterator[None]:
        """Tracks the modules of a network (or a bound method of one) that run inside.

        ``on_output`` is called with the output of each module before its scope is left.
        """
        network = getattr(model, "__self__", model)
        if not isinstance(network, nn.Module):
            yield
            return
        # torch.compile wraps a module in another of this name.
        self._paths = {
            id(module): ".".join(name for name in path.split(".") if name != "_orig_mod")
            for path, module in network.named_modules()
        }

        def enter(module: nn.Module, _inputs: object) -> None:
            if (path := self._paths.get(id(module))) is not None:
                self._scopes.append((path, module))

        def leave(module: nn.Module, _inputs: object, output: object) -> None:
            if id(module) in self._paths:
                on_output(output)
                self._scopes.pop()

        with ExitStack() as stack:
            # Two hooks for all modules: a pair for each costs more than small layers do.
            # Compiled modules, which run eagerly here, would warn of them.
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "Using `torch.compile.* global hooks", UserWarning)
            stack.callback(register_module_forward_pre_hook(enter).remove)
            stack.callback(register_module_forward_hook(leave, always_call=True).remove)
            yield

    @contextmanager
    def enter(self, path: str) -> Iterator[None]:
        """Makes ``path`` the scope of what runs inside, as if it were a module."""
        self._scopes.append((path, None))
        yield
        self._scopes.pop()
