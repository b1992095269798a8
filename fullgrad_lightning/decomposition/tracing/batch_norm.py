"""Two traps of batch norm: coupled samples, and a backward pass that is wrong for one sample."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import Operand, locate_part, split_by_dimension
from fullgrad_lightning.decomposition.operations.op_call import OpCall


def refuse_batch_statistics(call: OpCall, operands: Sequence[Operand]) -> None:
    """Raises a ``ValueError`` for a batch norm that normalises samples by each other."""
    if not call.argument(5, "training") or not call.is_active(call.leaves[0]):
        return
    x, axis = operands[0].tensor, operands[0].axes.get("sample")
    if axis is not None and axis.size == 1:
        return
    parts = (axis and split_by_dimension(axis, x.shape)) or []
    locations = [locate_part(part, x.shape) for part in parts]
    if not locations or any(location is None or location[0] != 1 for location in locations):
        # A batch that is folded into the channels is not coupled.
        raise ValueError(
            "The samples of this batch are coupled: a batch norm without running statistics "
            "normalises each sample by the others, so no sample has an f(x) of its own. "
            "Pass one sample at a time (N=1), or give the layer running statistics "
            "(track_running_stats=True). If the network runs in training mode inside a function, "
            "pass the module itself."
        )


def make_gradient_contiguous(x: Tensor, out: Tensor) -> None:
    """Makes the gradient contiguous that reaches the backward pass of ``out = batch_norm(x)``."""
    # On the CPU, PyTorch's backward of eval-mode batch norm is wrong for one contiguous sample when
    # the gradient arrives channels-last with a degenerate batch stride: docs/residual.md.
    if x.shape[0] == 1 and x.is_contiguous():
        out.grad_fn.register_prehook(  # type: ignore[union-attr]
            lambda grads: tuple(g if g is None else g.contiguous() for g in grads)
        )
