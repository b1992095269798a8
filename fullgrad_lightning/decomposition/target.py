"""Which scalar of the output is explained: the target f(x) of each sample."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Target = None | int | Tensor | Callable[..., Tensor]


def explained_scalar(output: object, target: Target, n: int) -> Tensor:
    """Picks f, shape (N,), from the output of the network.

    Args:
        output: What the network returned; logits (N, K) unless ``target`` is a callable.
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
            f"sample, e.g. target=lambda out: {_one_number(output)}; or wrap the model in a "
            "torch.nn.Module that returns logits."
        )
    index = _class_indices(output, target)
    return output.gather(1, index[:, None]).squeeze(1)


def validate_target(target: Target, n: int) -> None:
    """Refuses, before the network runs, a target that no output could fit.

    Raises:
        ValueError: An integer tensor that is not (N,).
        TypeError: Neither ``None``, ``int``, integer tensor nor callable.
    """
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
    elif isinstance(target, bool) or not (
        target is None or isinstance(target, int) or callable(target)
    ):
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
        index = index.clone() if index.is_inference() else index  # autograd refuses to keep those
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


def _one_number(output: object) -> str:
    """How one number per sample could be had of an output, as code."""
    place = "out"
    while isinstance(output, dict | list | tuple) and output:
        key = next(iter(output)) if isinstance(output, dict) else 0
        output, place = output[key], f"{place}[{key!r}]"
    if not isinstance(output, Tensor) or output.ndim < 2:
        return place
    rest = tuple(range(1, output.ndim - 1))
    return f"{place}[:, 3]" + (f".mean({rest})" if rest else "")


def describe(value: object) -> str:
    """A value's type and structure, with shapes, in one line."""
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    if isinstance(value, dict):
        return "a dict {" + ", ".join(f"{k!r}: {describe(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} (" + ", ".join(describe(v) for v in value) + ")"
    return (
        f"{value!r} ({type(value).__name__})" if isinstance(value, float) else type(value).__name__
    )
