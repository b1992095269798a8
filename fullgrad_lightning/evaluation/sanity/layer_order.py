"""The order in which a network uses its layers: not always that of their registration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fullgrad_lightning.decomposition import isolate_model
from fullgrad_lightning.decomposition.operations.op_call import find_tensors


def layers_from_output(model: nn.Module, x: Tensor) -> list[str]:
    """Names the layers of a network, the one next to its output first.

    A layer is a module that owns parameters, or statistics that ``reset_parameters`` resets; the
    network itself is named ``""``. The position of a layer is that of the last time a forward pass
    runs it or uses one of its parameters: a class token where it is joined to the others, the
    projections of attention where attention is computed. Modules that the pass does not use, such
    as the auxiliary heads of Inception in eval mode, are left out.

    The network is run once, on ``x`` (N, …), in eval mode, and not modified.

    Examples:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
        >>> layers_from_output(net, torch.zeros(1, 1, 4, 4))
        ['3', '0']
    """
    layers = {name: module for name, module in model.named_modules() if _is_layer(module)}
    last_use: dict[str, None] = {}  # an ordered set of names

    def record_use(name: str) -> None:
        last_use.pop(name, None)
        last_use[name] = None

    with (
        isolate_model(model, x),
        torch.no_grad(),
        _record_runs(layers, record_use),
        _RecordUses(layers, record_use),
    ):
        model(x.clone())
    return list(reversed(last_use))


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Returns the parameters of a module that belong to none of its submodules."""
    return list(module.parameters(recurse=False))


def _is_layer(module: nn.Module) -> bool:
    has_statistics = hasattr(module, "reset_parameters") and list(module.buffers(recurse=False))
    return bool(own_parameters(module) or has_statistics)


@contextmanager
def _record_runs(layers: dict[str, nn.Module], record_use: Callable[[str], None]) -> Iterator[None]:
    """Records each layer that begins to run."""

    def hook(name: str) -> Callable[[nn.Module, object], None]:
        return lambda _module, _inputs: record_use(name)

    handles = [m.register_forward_pre_hook(hook(name)) for name, m in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _RecordUses(TorchFunctionMode):
    """Records each layer of which a parameter is an operand, even if it never runs itself."""

    def __init__(self, layers: dict[str, nn.Module], record_use: Callable[[str], None]) -> None:
        super().__init__()
        self.owners = {id(p): name for name, m in layers.items() for p in own_parameters(m)}
        self.record_use = record_use

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") != "__get__":  # reading .shape or .dtype is not a use
            for operand in find_tensors((args, kwargs)):
                if id(operand) in self.owners:
                    self.record_use(self.owners[id(operand)])
        return func(*args, **kwargs)
