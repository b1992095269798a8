"""Linearises one operation at its own operands: b = y − Σ J_i x_i.

Three ways, each the fallback of the one before: forward-mode differentiation of that one
operation; the same with the plain kernels (attention, recurrent layers); differentiating its
backward pass. Operations that support none of them leave one number per sample, not a tensor.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from fullgrad_lightning.decomposition.operations.op_call import OpCall, find_tensors


class NotLocalizable(Exception):
    """An operation has no Jacobian-vector product, only a vector-Jacobian product."""


def implicit_bias(call: OpCall, output: int) -> Tensor:
    """b = y − Σ J_i x_i of a frozen call, shaped like output number ``output``.

    Raises:
        NotLocalizable: The operation has neither a forward-mode formula nor a double backward.
    """
    _load_forward_formulas()
    # Where an operand is infinite (a masked score), what follows does not depend on it: J is 0.
    directions = [torch.nan_to_num(a, nan=torch.nan, posinf=0, neginf=0) for a in call.activations]
    for attempt in _ATTEMPTS:
        try:
            y, jvp = attempt(call, output, directions)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # NotImplementedError is one too
            continue
        if jvp is not None:
            return y - jvp
    raise NotLocalizable(call.op)


def vector_jacobian_products(
    call: OpCall, output: int, gradient: Tensor
) -> tuple[Tensor, list[Tensor | None]]:
    """The output y again, and this call's own contributions J_iᵀg to each activation's gradient."""
    with torch.enable_grad():
        y, operands = _replay_on_leaves(call, output)
        contributions = torch.autograd.grad(y, operands, gradient.to(y.dtype), allow_unused=True)
    return y.detach(), list(contributions)


@functools.cache
def _load_forward_formulas() -> None:
    # PyTorch compiles some of its formulas when the first dual number is made, and warns about its
    # own use of TorchScript; a user can do nothing about it.
    with suppress(RuntimeError), warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


@contextmanager
def _plain_kernels() -> Iterator[None]:
    # Fused attention and cuDNN's recurrent layers have no formula; the kernels they replace do.
    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield


_Linearization = tuple[Tensor, Tensor | None]  # y and J·v; None where there is no formula


def _forward_mode(call: OpCall, output: int, directions: Sequence[Tensor]) -> _Linearization:
    with torch.no_grad(), forward_ad.dual_level():
        pairs = zip(call.activations, directions, strict=True)
        duals = [forward_ad.make_dual(value.detach(), direction) for value, direction in pairs]
        y, jvp = forward_ad.unpack_dual(find_tensors(call.replay(duals))[output])
        # A tangent of None, without an error, means that the operation has no formula.
        return y.detach(), jvp


@_plain_kernels()
def _double_backward(call: OpCall, output: int, directions: Sequence[Tensor]) -> _Linearization:
    # J·v is the derivative of Jᵀu with respect to u, in the direction v.
    with torch.enable_grad():
        y, operands = _replay_on_leaves(call, output)
        u = torch.zeros_like(y, requires_grad=True)
        pulled = torch.autograd.grad(y, operands, u, create_graph=True, allow_unused=True)
        used = [(p, v) for p, v in zip(pulled, directions, strict=True) if p is not None]
        (jvp,) = torch.autograd.grad([p for p, _ in used], u, [v for _, v in used])
    return y.detach(), jvp.detach()


def _replay_on_leaves(call: OpCall, output: int) -> tuple[Tensor, list[Tensor]]:
    """The output again, and the leaves that it is computed from."""
    leaves = [a.detach().requires_grad_() for a in call.activations]
    # Through clones: an operation may write to its operand, which no leaf allows.
    return find_tensors(call.replay([leaf.clone() for leaf in leaves]))[output], leaves


_ATTEMPTS = (_forward_mode, _plain_kernels()(_forward_mode), _double_backward)
