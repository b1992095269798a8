"""The target f(x) of each sample: the scalar of the output that is explained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fullgrad_lightning.utilities.checks import is_int
from fullgrad_lightning.utilities.describe import describe

Target = None | int | Tensor | Callable[..., Tensor]


def explained_scalar(output: object, target: Target, n: int) -> Tensor:
    """Selects f, shape (N,), from the output of the network.

    Args:
        output: The output of the network; logits (N, K) unless ``target`` is a callable.
        target: ``None`` (the top class of each sample), a class index, one index per sample as an
            integer tensor (N,), or a callable ``output -> (N,)``.
        n: N, the number of samples in the batch.

    Raises:
        ValueError: The output is not (N, K), an index lies outside 0…K−1, or the callable's result
            is not (N,).
        TypeError: The target is none of the above.
    """
    if callable(target) and not isinstance(target, Tensor):
        f = target(output)
        if not isinstance(f, Tensor) or f.shape != (n,) or not f.is_floating_point():
            raise ValueError(
                "A callable target must return one real number per sample, a float tensor of "
                f"shape ({n},), but returned {describe(f)}. Reduce all other dimensions."
            )
        return f
    if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[0] != n:
        raise ValueError(
            f"Expected the model to return logits of shape (N, K) with N={n}, but it returned "
            f"{describe(output)}. Pass a callable target that turns the output into one number per "
            f"sample, e.g. target=lambda out: {_reduction(output)}; or wrap the model in a "
            "torch.nn.Module that returns logits."
        )
    return output.gather(1, _class_indices(output, target)[:, None]).squeeze(1)


def validate_target(target: Target, n: int) -> None:
    """Checks, before the network runs, that some output could fit the target."""
    if isinstance(target, Tensor):
        if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
            raise TypeError(
                f"A target tensor must hold class indices (int64), got {target.dtype}. "
                "Use labels.long(), or logits.argmax(1)."
            )
        if target.shape != (n,):
            raise ValueError(
                f"A target tensor must have shape ({n},), one class index per sample, "
                f"got {tuple(target.shape)}."
            )
    elif not (target is None or is_int(target) or callable(target)):
        raise TypeError(
            "target must be None (top class), an int, an integer tensor (N,) or a callable "
            f"output -> (N,), got {describe(target)}."
        )


def select_target(target: Target, sample: int) -> Target:
    """The target of one sample of the batch, for a batch of one."""
    return target[sample : sample + 1] if isinstance(target, Tensor) else target


def _class_indices(logits: Tensor, target: object) -> Tensor:
    n, k = logits.shape
    if target is None:
        return logits.detach().argmax(1)
    if isinstance(target, Tensor):
        index = target.to(device=logits.device, dtype=torch.int64)
        index = index.clone() if index.is_inference() else index  # autograd refuses to save those
    else:
        assert isinstance(target, int)
        index = torch.full((n,), target, dtype=torch.int64, device=logits.device)
    outside = (index < 0) | (index >= k)
    if outside.any():
        sample = int(outside.nonzero()[0])
        raise ValueError(
            f"Target {int(index[sample])} of sample {sample} is outside 0…{k - 1}: "
            f"the model has {k} outputs."
        )
    return index


def _reduction(output: object) -> str:
    """Code that reduces an output to one number per sample."""
    code = "out"
    while isinstance(output, dict | list | tuple) and output:
        key = next(iter(output)) if isinstance(output, dict) else 0
        output, code = output[key], f"{code}[{key!r}]"
    if not isinstance(output, Tensor) or output.ndim < 2:
        return code
    dims = tuple(range(1, output.ndim - 1))
    return f"{code}[:, 3]" + (f".mean({dims})" if dims else "")
