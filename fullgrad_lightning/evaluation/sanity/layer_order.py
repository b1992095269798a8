"""In which order a network uses its layers: not always that in which they were registered."""

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
    """The layers of a network, the one next to its output first.

    A layer is a module that owns parameters, or statistics that ``reset_parameters`` resets. It
    stands where a forward pass runs it, or uses a parameter of it, for the last time: a class token
    where it is joined to the others, the projections of attention where attention takes place. What
    the pass does not use, such as the auxiliary heads of Inception in eval mode, is no layer.

    Args:
        model: The network, run once in eval mode and left as it was.
        x: (N, …), an input; one sample suffices.

    Returns:
        Names of modules as ``model.get_submodule`` takes them; ``""`` is the network itself.

    Examples:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
        >>> layers_from_output(net, torch.zeros(1, 1, 4, 4))
        ['3', '0']
    """
    layers = {name: module for name, module in model.named_modules() if _is_layer(module)}
    last_use: dict[str, None] = {}  # in the order of their keys

    def used(name: str) -> None:
        last_use.pop(name, None)
        last_use[name] = None

    with isolate_model(model, x), torch.no_grad(), _runs(layers, used), _Uses(layers, used):
        model(x.clone())
    return list(reversed(last_use))


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of a module that belong to none of its submodules."""
    return list(module.parameters(recurse=False))


def _is_layer(module: nn.Module) -> bool:
    has_statistics = hasattr(module, "reset_parameters") and list(module.buffers(recurse=False))
    return bool(own_parameters(module) or has_statistics)


@contextmanager
def _runs(layers: dict[str, nn.Module], used: Callable[[str], None]) -> Iterator[None]:
    """Tells which layer begins to run."""

    def telling(name: str) -> Callable[[nn.Module, object], None]:
        return lambda _module, _inputs: used(name)

    handles = [m.register_forward_pre_hook(telling(name)) for name, m in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Uses(TorchFunctionMode):
    """Tells whose parameter is an operand: also of layers that are never run themselves."""

    def __init__(self, layers: dict[str, nn.Module], used: Callable[[str], None]) -> None:
        super().__init__()
        self.owners = {id(p): name for name, m in layers.items() for p in own_parameters(m)}
        self.used = used

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") != "__get__":  # of .shape and .dtype nothing depends
            for operand in find_tensors((args, kwargs)):
                if id(operand) in self.owners:
                    self.used(self.owners[id(operand)])
        return func(*args, **kwargs)
