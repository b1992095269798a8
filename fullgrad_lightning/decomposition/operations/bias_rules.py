"""The table of bias rules: which bias an operation adds to the decomposition.

Linearise y = op(x₁…x_k) at its activations: y = Σ J_i x_i + b. Four facts cover nearly everything:

* Convolutions, linear maps and batch norm in eval mode have their b in closed form.
* An operation that is affine in its activations has b = op(0).
* By Euler's theorem, an operation that is positively homogeneous of degree k in its activations
  has Σ J_i x_i = k·y, so b = (1 − k)·y: nothing at all for degree 1 (ReLU, pooling, views), −y for
  a product of two activations.
* Everything else (also every operation that is not listed here) is linearised numerically.

A missing entry costs time, a wrong one costs exactness: the tests hold each against ``linearize``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.decomposition.operations.closed_forms import closed_form
from fullgrad_lightning.decomposition.operations.linearization import implicit_bias
from fullgrad_lightning.decomposition.operations.op_call import OpCall, tensors

Kind = Literal["parameter", "normalization", "nonlinearity", "product", "constant", "not_localized"]


@dataclass(frozen=True)
class Rule:
    """How to get the bias of a call.

    Attributes:
        kind: The kind of site.
        bias: ``(frozen call, number of the output) -> b``, broadcastable to that output.
        keeps: What the frozen call must hold: the values of its activations, or their shapes. With
            ``"either"``, the result will do for an operand that it overwrites.
        finite: Whether b is finite wherever parameters are (else 0·∞ has to be taken as 0).
        settled: Whether b is known already, whatever happens to the operands.
    """

    kind: Kind
    bias: Callable[[OpCall, int], Tensor]
    keeps: Literal["values", "shapes", "either"] = "shapes"
    finite: bool = False
    settled: bool = False


Rules = Callable[[OpCall], Rule | None]


def bias_rule(call: OpCall) -> Rule | None:
    """The rule for a call with at least one activation; ``None`` where the bias is 0."""
    if call.op in _CONVOLUTIONS:
        return _convolution(call)
    if call.op == "batch_norm" and not call.argument(5, "training"):
        return _batch_norm(call)
    if call.op in _AFFINE:
        return _affine(call)
    degree = homogeneity(call)
    if degree is None:
        if call.op in ("hardtanh", "relu6") and call.active == (0,):
            return Rule("nonlinearity", _clamped, keeps="either", finite=True)
        exact = closed_form(call)
        return Rule(
            _kind(call.op), exact or implicit_bias, keeps="values", finite=exact is not None
        )
    if degree == 1:
        return None
    return Rule(
        "product" if call.op in _PRODUCTS else "nonlinearity", _euler(degree), keeps="values"
    )


def homogeneity(call: OpCall) -> float | None:
    """The degree k of positive homogeneity, jointly in all activations; ``None`` if unknown."""
    op, n = call.op, len(call.active)
    alone = call.active == (0,)  # the first operand, and no other: a slope or a grid is not linear
    if op in _DEGREE_ONE or op.startswith("fft_"):
        return 1 if alone else None
    if op in _DEGREE_ONE_JOINTLY:
        constants = [
            leaf
            for i, leaf in enumerate(call.leaves)
            if isinstance(leaf, Tensor) and i not in call.active
        ]
        return None if constants else 1
    if op in _PRODUCTS:
        return n
    if op == "div":
        return _degree_of_quotient(call)
    if op == "pow":
        exponent = call.argument(1, "exponent")
        return float(exponent) if isinstance(exponent, (int, float)) and alone else None
    if op in ("max", "min"):  # the reduction; with a second tensor it is maximum or minimum
        return 1 if not isinstance(call.argument(1, "other"), Tensor) or n == 2 else None
    if op == "dropout":
        return 1
    return _DEGREES.get(op) if alone else None


def _convolution(call: OpCall) -> Rule | None:
    x, weight, bias = (call.argument(i, k) for i, k in enumerate(("input", "weight", "bias")))
    factors = call.is_active(x) + call.is_active(weight)
    if factors != 1:
        if factors == 2 and bias is None:
            return Rule("product", _euler(2), keeps="values")
        return Rule("product", implicit_bias, keeps="values")
    if bias is None or call.is_active(bias):
        return None
    spatial = weight.ndim - 2
    b = bias.detach().clone().reshape(-1, *[1] * spatial)  # may be overwritten afterwards
    return Rule("parameter", lambda _call, _output: b, finite=True, settled=True)


def _batch_norm(call: OpCall) -> Rule:
    x, gamma, beta, mean, variance = (
        call.argument(i, k)
        for i, k in enumerate(("input", "weight", "bias", "running_mean", "running_var"))
    )
    if any(call.is_active(constant) for constant in (gamma, beta, mean, variance)):
        return Rule("normalization", implicit_bias, keeps="values")
    # It is affine in eval mode, so that b = op(0): one call, cheaper than its formula.
    zero = mean.detach().new_zeros(1, mean.numel())
    with torch.no_grad():
        b = F.batch_norm(zero, mean, variance, gamma, beta, eps=call.argument(7, "eps"))
    b = b.reshape(-1, *[1] * (x.ndim - 2))
    return Rule("normalization", lambda _call, _output: b, finite=True, settled=True)


def _affine(call: OpCall) -> Rule | None:
    if call.op == "pad":
        nothing_added = call.argument(2, "mode", "constant") != "constant" or not call.argument(
            3, "value"
        )
    elif call.op in ("masked_fill", "setitem"):
        value = call.argument(2, "value")
        number = isinstance(value, (int, float)) and value == 0
        nothing_added = call.is_active(call.leaves[0]) and (number or call.is_active(value))
    elif call.op == "copy":
        nothing_added = call.is_active(call.argument(1, "src"))  # overwrites everything
    elif call.op in ("add", "sub", "rsub", "where"):
        nothing_added = len(call.active) == 2
    elif call.op in _JOINING:
        nothing_added = len(call.active) == sum(isinstance(leaf, Tensor) for leaf in call.leaves)
    else:
        nothing_added = False
    return None if nothing_added else Rule("constant", _at_zero)


def _at_zero(call: OpCall, output: int) -> Tensor:
    zeros = [
        torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device)
        for leaf in (call.leaves[i] for i in call.active)
    ]
    with torch.no_grad():
        return tensors(call.replay(zeros))[output]


def _euler(degree: float) -> Callable[[OpCall, int], Tensor]:
    def bias(call: OpCall, output: int) -> Tensor:
        with torch.no_grad():
            y = tensors(call.replay(call.activations))[output]
        return (1 - degree) * y

    return bias


def _clamped(call: OpCall, _output: int) -> Tensor:
    low, high = (
        (0.0, 6.0)
        if call.op == "relu6"
        else (call.argument(1, "min_val", -1.0), call.argument(2, "max_val", 1.0))
    )
    x: Tensor = call.leaves[0]
    b = (x >= high).to(x.dtype).mul_(high)  # the bound itself, where it holds
    return b.add_((x <= low).to(x.dtype), alpha=low) if low else b


def _degree_of_quotient(call: OpCall) -> float | None:
    if call.argument(2, "rounding_mode") is not None:
        return None
    numerator, denominator = (call.argument(i, k) for i, k in enumerate(("input", "other")))
    return call.is_active(numerator) - call.is_active(denominator)


def _kind(op: str) -> Kind:
    if op in _NORMALIZATIONS:
        return "normalization"
    return "parameter" if op in ("addmm", "baddbmm", "addmv") else "nonlinearity"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONVOLUTIONS = _names(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution"
)
_NORMALIZATIONS = _names(
    "batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize"
)
_JOINING = _names("cat stack hstack vstack dstack column_stack")
_AFFINE = _JOINING | _names(
    "add sub rsub where pad masked_fill constant_pad_nd setitem copy fill zero index_put index_fill"
    " index_copy index_add masked_scatter scatter scatter_add slice_scatter select_scatter"
)
_PRODUCTS = _names("mul matmul mm bmm mv dot inner outer einsum tensordot kron")
_DEGREES = {"square": 2, "sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1, "var": 2}
# Of degree 1 in their one activation, whatever the constants are (indices, shapes, slopes, grids).
_DEGREE_ONE = _names(
    # views and other movements
    "view reshape flatten unflatten squeeze unsqueeze permute transpose t T mT H mH adjoint movedim"
    " expand expand_as broadcast_to repeat tile contiguous clone to type type_as float double half"
    " bfloat16 cpu cuda getitem select narrow split split_with_sizes tensor_split chunk unbind"
    " hsplit vsplit dsplit index_select gather take take_along_dim flip fliplr flipud roll rot90"
    " tril triu diagonal diag diag_embed unfold fold im2col col2im pixel_shuffle pixel_unshuffle"
    " channel_shuffle view_as reshape_as as_strided ravel real imag view_as_real view_as_complex"
    " conj resolve_conj resolve_neg repeat_interleave alias detach requires_grad masked_select"
    " slice reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d"
    # linear maps and piecewise linear ones through the origin
    " sum mean nansum cumsum neg negative abs absolute relu leaky_relu rrelu prelu"
    " avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"
    " max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices"
    " max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
    " upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d"
    " _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d"
    " upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa"
    " grid_sampler grid_sampler_2d grid_sampler_3d roi_align roi_pool ps_roi_align ps_roi_pool"
    " feature_dropout stft istft"
    # selections and norms
    " amax amin median nanmedian topk sort kthvalue mode cummax cummin std"
)
# Of degree 1 in all their activations together, if there is no constant tensor beside them.
_DEGREE_ONE_JOINTLY = _names("maximum minimum fmax fmin hypot block_diag")
