"""The table of operations: all facts about each in one row.

An operation without a row is linearised numerically, and its dimensions are matched by size.
A missing row costs time, a wrong one costs exactness: the tests hold the bias of each row against
numerical linearisation, and its axes against what a change of one sample or one row of pixels does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from fullgrad_lightning.decomposition.operations import bias_rules as rules, closed_forms as closed
from fullgrad_lightning.decomposition.operations.bias_rules import Affine, Homogeneous, Linearized
from fullgrad_lightning.decomposition.operations.op_call import OpCall

Movement = Literal[
    "by_size",  # in order as far as sizes show; followed where a size occurs once
    "in_order",  # the dimensions keep their order; one may have been added or removed
    "elementwise",  # in order, each entry computed from those at the same place
    "same_numbering",  # the same elements in the same row-major order
    "image",  # (N, C, H, W) in and out by definition
    "product",  # in order, but for the dimensions that a matrix product sums over
    "linear",  # a product with the transposed weight
    "added_product",  # the same of the second and third operand, added to the first
    "attention",  # in order, but for keys and features
    "reduction",  # in order, but for the dimensions that the argument ``dim`` names
    "complex_view",  # by size: strides of real and complex views count in different units
    "shuffled",  # in another order: nothing is followed
    "cat",
    "stack",
    "pad",
    "getitem",
    "setitem",
    "einsum",
    "cdist",
]


class DimArgument(NamedTuple):
    """The argument that names the dimensions along which entries do not keep their place."""

    position: int
    keyword: str = "dim"
    default: object = None


@dataclass(frozen=True)
class Operation:
    """The facts that the decomposition uses of some operations.

    Attributes:
        names: Canonical names (``op_name``), separated by spaces.
        bias: The bias rule.
        axes: How dimensions move from the operands to the output.
        dim: The dimensions along which entries are moved, mixed or reduced.
        first_alone: Whether the first operand alone is followed: others (a weight, values that are
            scattered) lie elsewhere.
        saves_operand: Whether autograd keeps the operand of an in-place call.
        is_random: Whether it may draw random numbers, which a replay must draw again.
        is_one_site: Whether a composite, Python code that calls others, is a site of its own.
    """

    names: str
    bias: rules.Rules = Linearized()  # noqa: RUF009 - immutable
    axes: Movement = "by_size"
    dim: DimArgument | None = None
    first_alone: bool = False
    saves_operand: bool = False
    is_random: bool = False
    is_one_site: bool = False


def bias_rule(call: OpCall) -> rules.Rule | None:
    """The rule for a call with at least one activation; ``None`` where the bias is 0."""
    return find_operation(call.op).bias(call)


def find_operation(name: str) -> Operation:
    """The row of a canonical name; of unlisted operations the default."""
    return OPERATIONS.get(name, UNLISTED)


def autograd_saves_operand(call: OpCall) -> bool:
    """Returns whether autograd itself keeps what the call overwrites, so that no copy is needed."""
    if not call.in_place or not call.is_unary() or not find_operation(call.op).saves_operand:
        return False
    # Under hooks on saved tensors (checkpointing), reading one means computing it again.
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(False)
    return hooks is None and call.leaves[0]._base is None


# Of degree 1 in the first operand alone, whatever the constants are (indices, shapes, slopes).
_LINEAR = Homogeneous(rules.degree_alone(1))
_PRODUCT = Homogeneous(lambda call: len(call.active), "product")
_JOINTLY = Homogeneous(lambda call: 1 if rules.all_operands_active(call) else None)
_NORM = Linearized(kind="normalization")
_SUM = Affine(lambda call: len(call.active) == 2)
_JOIN = Affine(rules.all_operands_active)
_LAYER_NORM = Linearized(closed.layer_norm, closed.is_full_precision, "normalization")
_ATTENTION = Linearized(closed.attention, closed.is_plain_attention)
_DIM_1, _DIM_2 = DimArgument(1), DimArgument(2)
_LAST, _LAST_2 = DimArgument(2, "dim", -1), DimArgument(2, "dim", (-2, -1))

TABLE = (
    # Layers with weights
    Operation("conv2d conv_transpose2d convolution", rules.convolution, "image", first_alone=True),
    Operation("conv1d conv3d", rules.convolution, "in_order", first_alone=True),
    Operation("conv_transpose1d conv_transpose3d", rules.convolution, "in_order", first_alone=True),
    Operation("linear", rules.convolution, "linear"),
    Operation("addmm addmv baddbmm", Linearized(kind="parameter"), "added_product"),
    Operation("deform_conv2d", axes="image", first_alone=True),
    Operation("lstm gru rnn_tanh rnn_relu", axes="in_order", is_random=True),
    Operation("lstm_cell gru_cell", axes="in_order"),
    # Normalisation
    Operation("batch_norm", rules.batch_norm, "elementwise"),
    Operation("layer_norm", _LAYER_NORM, "elementwise"),
    Operation("group_norm", _NORM, "elementwise"),
    Operation("instance_norm", _NORM, "image"),
    Operation("local_response_norm", _NORM, "image", is_one_site=True),
    Operation("rms_norm", _NORM),
    Operation("normalize", _NORM, is_one_site=True),
    # Non-linearities
    Operation("relu leaky_relu prelu rrelu abs absolute", _LINEAR, "elementwise"),
    Operation("relu6 hardtanh", rules.clamp, "elementwise"),
    Operation("silu", Linearized(closed.silu), "elementwise", saves_operand=True),
    Operation("hardswish", Linearized(closed.hardswish), "elementwise", saves_operand=True),
    Operation("gelu", Linearized(closed.gelu, closed.is_exact_gelu), "elementwise"),
    Operation("sigmoid tanh elu selu mish hardsigmoid softmax", axes="elementwise"),
    Operation("glu", axes="in_order"),
    Operation("scaled_dot_product_attention", _ATTENTION, "attention", is_random=True),
    # Powers and other homogeneous ones
    Operation("square", Homogeneous(rules.degree_alone(2)), "elementwise"),
    Operation("sqrt", Homogeneous(rules.degree_alone(0.5)), "elementwise"),
    Operation("rsqrt", Homogeneous(rules.degree_alone(-0.5)), "elementwise"),
    Operation("reciprocal", Homogeneous(rules.degree_alone(-1)), "elementwise"),
    Operation("pow", Homogeneous(rules.degree_of_power), "elementwise"),
    Operation("div", Homogeneous(rules.degree_of_quotient), "elementwise"),
    Operation("maximum minimum fmax fmin hypot", _JOINTLY, "elementwise"),
    Operation("block_diag", _JOINTLY, "shuffled"),
    Operation("cdist", axes="cdist"),
    # Products
    Operation("mul", _PRODUCT, "elementwise"),
    Operation("matmul mm bmm mv", _PRODUCT, "product"),
    Operation("dot inner", _PRODUCT),
    Operation("outer tensordot kron", _PRODUCT, "shuffled"),
    Operation("einsum", _PRODUCT, "einsum"),
    # Sums and constants that are put in
    Operation("add sub rsub where", _SUM, "elementwise"),
    Operation("masked_fill", Affine(rules.replaces_by_zero), "elementwise"),
    Operation("setitem", Affine(rules.replaces_by_zero), "setitem"),
    Operation("copy", Affine(lambda call: call.is_active(call.argument(1, "src")))),
    Operation("pad", Affine(rules.pads_with_zero), "pad"),
    Operation("index_put index_add index_copy", Affine(), first_alone=True),
    Operation("scatter scatter_add masked_scatter", Affine(), first_alone=True),
    Operation("scatter_reduce", first_alone=True),
    Operation("constant_pad_nd fill zero index_fill slice_scatter select_scatter", Affine()),
    Operation("cat", _JOIN, "cat"),
    Operation("stack", _JOIN, "stack"),
    Operation("hstack vstack dstack column_stack", _JOIN),
    # Reductions
    Operation("sum mean nansum nanmean amax amin median std", _LINEAR, "reduction", _DIM_1),
    Operation("cummax cummin", _LINEAR, "reduction", _DIM_1),
    Operation("max min", Homogeneous(rules.degree_of_extremum), "reduction", _DIM_1),
    Operation("var", Homogeneous(rules.degree_alone(2)), "reduction", _DIM_1),
    Operation("linalg_vector_norm", Homogeneous(rules.degree_of_norm), "reduction", _DIM_2),
    Operation("logsumexp prod", axes="reduction", dim=_DIM_1),
    Operation("nanmedian kthvalue mode", _LINEAR),
    Operation("cumsum", _LINEAR, "in_order"),
    # Pooling and resampling
    Operation(
        "max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d"
        " upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d"
        " _upsample_bilinear2d_aa _upsample_bicubic2d_aa pixel_shuffle pixel_unshuffle",
        _LINEAR,
        "image",
    ),
    Operation("fractional_max_pool2d", axes="image"),
    Operation(
        "max_pool1d max_pool3d avg_pool1d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool3d"
        " adaptive_max_pool1d adaptive_max_pool3d upsample_nearest1d upsample_nearest3d"
        " upsample_linear1d upsample_trilinear3d im2col col2im",
        _LINEAR,
        "in_order",
    ),
    Operation(
        "max_pool1d_with_indices max_pool3d_with_indices _upsample_nearest_exact1d"
        " _upsample_nearest_exact3d roi_align roi_pool ps_roi_align ps_roi_pool grid_sampler_2d"
        " grid_sampler_3d",
        _LINEAR,
    ),
    Operation("grid_sampler", _LINEAR, dim=DimArgument(0, "", (2, 3))),
    # Views, copies and casts
    Operation(
        "view reshape flatten unflatten squeeze unsqueeze view_as reshape_as ravel _unsafe_view to"
        " type type_as float double half bfloat16 clone contiguous",
        _LINEAR,
        "same_numbering",
    ),
    Operation(
        "permute transpose t T mT H mH adjoint movedim select narrow split split_with_sizes"
        " tensor_split chunk unbind hsplit vsplit dsplit diagonal unfold as_strided slice alias"
        " expand_as broadcast_to cpu cuda requires_grad detach",
        _LINEAR,
    ),
    Operation("neg negative tril triu conj resolve_conj resolve_neg", _LINEAR, "elementwise"),
    Operation("dropout", Homogeneous(lambda _call: 1), "elementwise"),
    Operation("feature_dropout", _LINEAR, "elementwise"),
    Operation("expand repeat tile repeat_interleave", _LINEAR, "in_order"),
    Operation("real imag view_as_real view_as_complex", _LINEAR, "complex_view"),
    # Selections and movements
    Operation("getitem", _LINEAR, "getitem"),
    Operation("index_select gather", _LINEAR, "in_order", _DIM_1),
    Operation("take_along_dim", _LINEAR, dim=_DIM_2),
    Operation("topk", _LINEAR, "in_order", _LAST),
    Operation("sort", _LINEAR, dim=DimArgument(1, "dim", -1)),
    Operation("flip", _LINEAR, dim=DimArgument(1, "dims")),
    Operation("fliplr", _LINEAR, dim=DimArgument(0, "", 1)),
    Operation("flipud", _LINEAR, dim=DimArgument(0, "", 0)),
    Operation("roll", _LINEAR, dim=DimArgument(2, "dims")),
    Operation("rot90 take masked_select", _LINEAR, "shuffled"),
    Operation(
        "diag diag_embed channel_shuffle reflection_pad1d reflection_pad2d replication_pad1d"
        " replication_pad2d",
        _LINEAR,
    ),
    # Spectra
    Operation("fft_fft fft_ifft fft_rfft fft_irfft fft_hfft fft_ihfft", _LINEAR, dim=_LAST),
    Operation("fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_hfft2 fft_ihfft2", _LINEAR, dim=_LAST_2),
    Operation("fft_fftn fft_ifftn fft_rfftn fft_irfftn fft_hfftn fft_ihfftn", _LINEAR, dim=_DIM_2),
    Operation("fft_fftshift fft_ifftshift", _LINEAR, dim=_DIM_1),
    Operation("stft istft", _LINEAR, dim=DimArgument(0, "", -1)),
    # Random numbers
    Operation(
        "alpha_dropout feature_alpha_dropout native_dropout normal bernoulli poisson uniform"
        " exponential cauchy log_normal geometric random _standard_gamma _sample_dirichlet"
        " multinomial",
        is_random=True,
    ),
)

OPERATIONS = {name: operation for operation in TABLE for name in operation.names.split()}
UNLISTED = Operation("")
