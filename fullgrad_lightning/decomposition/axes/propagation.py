"""How operations move the batch, height and width axes from their operands to their outputs.

Reshapes leave the row-major numbering of the elements, and so every axis, as it is. Other views
show in their strides where a dimension went. All remaining operations keep the order of their
dimensions, so that one is found again by its size, if only one place is possible. What cannot be
followed is dropped, never guessed: without its batch axis, a batch is decomposed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import (
    HEIGHT,
    KEYS,
    SAMPLE,
    TOKENS,
    WIDTH,
    Axes,
    Axis,
    Operand,
    Part,
    covers,
    cut,
    dimension_of,
    image_axes,
    lies_on_image,
)
from fullgrad_lightning.decomposition.axes.token_axes import tokens_after_cat, tokens_after_slice
from fullgrad_lightning.decomposition.operations.op_call import OpCall, memory_of


def axes_of_output(call: OpCall | None, operands: Sequence[Operand], out: Tensor) -> Axes:
    """Axes of ``out``, one output of ``call`` (``None``: unknown) on activations with axes."""
    if call is not None and (known := _usual(call, operands, out)) is not None:
        return known
    axes: dict[str, Axis] = {}
    for name in (SAMPLE, HEIGHT, WIDTH, TOKENS, KEYS):
        followed = (_follow(call, operand, name, out) for operand in operands)
        found = [axis for axis in followed if axis is not None]
        if name == SAMPLE and len(set(found)) == 1:
            axes[name] = found[0]
        elif name != SAMPLE and found:
            # What went through windows knows less than what went around them; of a product of
            # queries and keys, the queries come first.
            axes[name] = max(found, key=lambda axis: axis.size)
            elsewhere = [axis for axis in found if _top(axis) != _top(axes[name])]
            if elsewhere and call is not None and call.op in _MATRIX_PRODUCTS | {"einsum"}:
                axes[KEYS] = elsewhere[0]
    if call is not None and call.op in _ON_IMAGES and out.ndim == 4:
        for operand in operands:
            if operand.tensor.ndim == 4 and lies_on_image(operand.tensor.shape, operand.axes, 2, 3):
                axes.update(image_axes(out.shape))
    if call is not None and call.op == "cat":
        axes.update(tokens_after_cat(call, operands, out))
    elif len(operands) == 1 and TOKENS in operands[0].axes and TOKENS not in axes:
        axes.update(tokens_after_slice(operands[0].tensor, operands[0].axes[TOKENS], out))
    return axes


def _usual(call: OpCall, operands: Sequence[Operand], out: Tensor) -> Axes | None:
    """The same answer, sooner, for the two cases that networks mostly consist of."""
    first = operands[0]
    if call.op in _ELEMENTWISE:
        same = all(o.tensor.shape == out.shape and o.axes == first.axes for o in operands)
        return first.axes if same else None
    channels = call.op == "cat" and call.argument(1, "dim", 0) in (1, -3)
    if out.ndim != 4 or not (channels or (call.op in _ON_IMAGES and len(operands) == 1)):
        return None
    n, places = out.shape[0], set()
    for operand in operands:
        axes, shape = operand.axes, operand.tensor.shape
        places.add((axes.get(HEIGHT), axes.get(WIDTH)))
        if len(shape) != 4 or len(axes) > 3 or len(places) > 1 or SAMPLE not in axes:
            return None
        if shape[0] != n or axes[SAMPLE].size not in (1, n) or not covers(shape, axes[SAMPLE], 0):
            return None
    if not lies_on_image(first.tensor.shape, first.axes, 2, 3):
        return None
    sample = first.axes[SAMPLE] if n == 1 else Axis((Part(n, prod(out.shape[1:])),))
    return {SAMPLE: sample, **image_axes(out.shape)}


def _top(axis: Axis) -> int:
    return axis.parts[0].size * axis.parts[0].stride if axis.parts else 0


def _follow(call: OpCall | None, operand: Operand, name: str, out: Tensor) -> Axis | None:
    axis, tensor, op = operand.axes.get(name), operand.tensor, call.op if call else ""
    if axis is None or (op in _SAME_NUMBERING and out.numel() == tensor.numel()):
        return axis
    followed: list[Part] = []
    parts = cut(axis, tensor.shape) or []
    whole = name in (SAMPLE, TOKENS)
    for part in parts:
        moved = _follow_part(call, operand, part, out, may_skip=not whole and len(parts) == 1)
        if moved is None:
            break  # coarser parts still tell where this is; without the coarsest nothing does
        followed.append(moved)
    if not followed or (whole and len(followed) < len(parts)):
        return None
    return Axis(Axis.of(followed).parts, axis.grid)


def _follow_part(
    call: OpCall | None, operand: Operand, part: Part, out: Tensor, may_skip: bool
) -> Part | None:
    tensor, place = operand.tensor, dimension_of(part, operand.tensor.shape)
    if place is None:
        return None
    dim, inner = place
    size, target = part.size, _target_dimension(call, operand, dim, out)
    if target is None and may_skip and call and call.op == "pad" and size == tensor.shape[dim]:
        size, target = out.shape[dim], dim  # a frame around the image
    if target is None and may_skip and call and call.op == "getitem" and size == tensor.shape[dim]:
        # Space-to-depth: every other row still covers the whole image.
        size = (size + 1) // 2
        target = _by_stride(out, size, 2 * tensor.stride(dim))
    return None if target is None else Part(size, inner * prod(out.shape[target + 1 :]))


def _target_dimension(call: OpCall | None, operand: Operand, dim: int, out: Tensor) -> int | None:
    tensor, op = operand.tensor, call.op if call else ""
    size = tensor.shape[dim]
    if op == "einsum":
        assert call is not None
        return _einsum_dimension(call.argument(0, "equation"), operand.index, dim)
    if op not in _UNITS_CHANGE and memory_of(tensor) == memory_of(out) is not None:
        return _by_stride(out, size, tensor.stride(dim))
    if op in _ORDER_CHANGES or (call is not None and _reorders(call, dim, tensor.ndim)):
        return None
    if op in _MATRIX_PRODUCTS and dim == tensor.ndim - (1 if operand.index == 0 else 2):
        return None  # contracted
    if op == "cdist" and operand.index == 1 and dim == tensor.ndim - 2:
        return out.ndim - 1
    if op == "stack":
        assert call is not None
        return dim + int(call.argument(1, "dim", 0) % out.ndim <= dim)
    if op in _REDUCTIONS:
        assert call is not None
        return _kept_dimension(call, dim, tensor.ndim, out.ndim)
    # Dimensions were removed or added somewhere, in an order that stays.
    first, last = sorted((dim, dim + out.ndim - tensor.ndim))
    places = [d for d in range(max(first, 0), min(last + 1, out.ndim)) if out.shape[d] == size]
    # Of an operation that nobody knows, a size that occurs twice tells nothing.
    certain = op in _ALIGNED or op in _ON_IMAGES or (call is not None and out.shape == tensor.shape)
    return places[0] if len(places) == 1 and (certain or list(out.shape).count(size) == 1) else None


def _kept_dimension(call: OpCall, dim: int, ndim: int, ndim_out: int) -> int | None:
    """Where dimension ``dim`` stands after a reduction, if it is not reduced itself."""
    dims = call.argument(_REDUCTIONS[call.op], "dim")
    dims = range(ndim) if dims is None else (dims,) if isinstance(dims, int) else dims
    if not all(isinstance(d, int) for d in dims):
        return None
    reduced = {d % ndim for d in dims}
    if dim in reduced:
        return None
    return dim if ndim_out == ndim else dim - sum(d < dim for d in reduced)


def _reorders(call: OpCall, dim: int, ndim: int) -> bool:
    """Whether a call moves, selects or mixes the entries of dimension ``dim``."""
    if call.op == "getitem":
        return _indexed(call.argument(1, "index"), dim, ndim)
    if call.op not in _REORDERING:
        return False
    position, keyword, default = _REORDERING[call.op]
    dims = call.argument(position, keyword, default) if keyword else default
    if call.op == "flip" and isinstance(dims, int):
        dims = call.own_arguments[0][1:]  # x.flip(1, 2)
    if isinstance(dims, int):
        dims = (dims,)
    if not isinstance(dims, (tuple, list)) or not all(isinstance(d, int) for d in dims):
        return True
    return dim in {d % ndim for d in dims}


def _indexed(index: object, dim: int, ndim: int) -> bool:
    """Whether advanced indexing touches ``dim``, or moves it (indices that stand apart)."""
    entries = index if isinstance(index, tuple) else (index,)
    taken = [e.ndim if isinstance(e, Tensor) and e.dtype == torch.bool else 1 for e in entries]
    consumed = sum(
        n for e, n in zip(entries, taken, strict=True) if e is not None and e is not Ellipsis
    )
    at, advanced, runs, previous = 0, set(), 0, False
    for entry, n in zip(entries, taken, strict=True):
        by_index = not isinstance(entry, (slice, type(None), type(Ellipsis)))
        runs += by_index and not previous
        previous = by_index
        if entry is Ellipsis:
            at += ndim - consumed
        elif entry is not None:
            advanced |= set(range(at, at + n)) if by_index else set()
            at += n
    return runs > 1 or dim in advanced


def _by_stride(view: Tensor, size: int, stride: int) -> int | None:
    same = [d for d in range(view.ndim) if (view.shape[d], view.stride(d)) == (size, stride)]
    return same[0] if len(same) == 1 else None


def _einsum_dimension(equation: object, index: int, dim: int) -> int | None:
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        return None
    terms, output = equation.replace(" ", "").split("->")
    place = output.find(terms.split(",")[index][dim])
    return place if place >= 0 else None


# Same elements in the same row-major order.
_SAME_NUMBERING = frozenset(
    "view reshape flatten unflatten squeeze unsqueeze view_as reshape_as ravel contiguous clone"
    " _unsafe_view unsafe_view to type type_as float double half bfloat16".split()
)
# The strides of complex and real views count in different units.
_UNITS_CHANGE = frozenset("view_as_real view_as_complex real imag".split())
_MATRIX_PRODUCTS = frozenset("matmul bmm mm linear baddbmm".split())
# The dimensions of the operands do not stand in their order in the output.
_ORDER_CHANGES = frozenset(
    "tensordot kron outer block_diag rot90 masked_select take nonzero scatter scatter_add"
    " scatter_reduce index_add index_copy".split()
)
# Sizes stay, entries do not stay in place along: (position, keyword, default) of the dimensions.
_LAST, _LAST_TWO = (2, "dim", -1), (2, "dim", (-2, -1))
_REORDERING: dict[str, tuple[int, str, object]] = {
    "roll": (2, "dims", None),
    "flip": (1, "dims", None),
    "fliplr": (0, "", 1),
    "flipud": (0, "", 0),
    "sort": (1, "dim", -1),
    "argsort": (1, "dim", -1),
    "topk": _LAST,
    "gather": (1, "dim", None),
    "index_select": (1, "dim", None),
    "take_along_dim": (2, "dim", None),
    "stft": (0, "", -1),
    "istft": (0, "", -1),
    "grid_sampler": (0, "", (2, 3)),
    **dict.fromkeys((f"fft_{kind}fft" for kind in ("", "i", "r", "ir", "h", "ih")), _LAST),
    **dict.fromkeys((f"fft_{kind}fft2" for kind in ("", "i", "r", "ir", "h", "ih")), _LAST_TWO),
    **dict.fromkeys(
        (f"fft_{kind}fftn" for kind in ("", "i", "r", "ir", "h", "ih")), (2, "dim", None)
    ),
}
_REDUCTIONS = {  # and the position of the argument "dim"
    **dict.fromkeys("sum mean nansum nanmean amax amin max min median std var prod".split(), 1),
    **dict.fromkeys("logsumexp argmax argmin norm cummax cummin".split(), 1),
    "linalg_vector_norm": 2,
}
# Each dimension of the output is that of the operand, or one was added or removed in between.
_ALIGNED = _MATRIX_PRODUCTS | frozenset(
    "add sub rsub mul div pow maximum minimum where cat pad getitem conv1d conv3d conv_transpose1d"
    " conv_transpose3d max_pool1d max_pool3d avg_pool1d avg_pool3d adaptive_avg_pool1d"
    " adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool3d upsample_nearest1d"
    " upsample_linear1d upsample_nearest3d upsample_trilinear3d scaled_dot_product_attention"
    " index_select gather repeat_interleave lstm gru rnn_tanh rnn_relu lstm_cell gru_cell glu"
    " im2col col2im cumsum topk masked_fill repeat tile expand".split()
)
# Each entry from those at the same place in the operands, whatever else it depends on.
_ELEMENTWISE = frozenset(
    "relu batch_norm hardtanh relu6 silu gelu sigmoid tanh dropout add sub mul div leaky_relu elu"
    " hardswish hardsigmoid mish selu layer_norm clone contiguous softmax detach group_norm".split()
)
# (N, C, H, W) in and out by definition.
_ON_IMAGES = frozenset(
    "conv2d conv_transpose2d convolution max_pool2d max_pool2d_with_indices avg_pool2d"
    " adaptive_avg_pool2d adaptive_max_pool2d lp_pool2d fractional_max_pool2d upsample_nearest2d"
    " _upsample_nearest_exact2d upsample_bilinear2d _upsample_bilinear2d_aa upsample_bicubic2d"
    " _upsample_bicubic2d_aa pixel_shuffle pixel_unshuffle batch_norm instance_norm deform_conv2d"
    " local_response_norm".split()
)
