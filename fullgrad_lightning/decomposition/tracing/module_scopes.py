"""The stack of modules whose forward is running."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

Scope = tuple[str, nn.Module | None]  # path of a module, and the module


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
