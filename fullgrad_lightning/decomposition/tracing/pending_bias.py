"""Biases that the forward pass determines and the backward pass computes, once needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fullgrad_lightning.decomposition.axes.axis import Axis, Operand, sum_per_sample
from fullgrad_lightning.decomposition.operations.bias_rules import Rule
from fullgrad_lightning.decomposition.operations.linearization import (
    NotLocalizable,
    vector_jacobian_products,
)
from fullgrad_lightning.decomposition.operations.op_call import OpCall, get_storage_id
from fullgrad_lightning.decomposition.tracing.autograd_graph import Node
from fullgrad_lightning.decomposition.tracing.sites import Site


class SampleAxisLost(Exception):
    """The sample axis of a value could not be followed: samples must be decomposed one by one."""


class PendingBias:
    """The bias b of one output of one call, computed when the gradient arrives.

    Args:
        site: The site.
        rule: The bias rule of the call.
        call: A snapshot of the call; ``None`` if the rule does not need it.
        output: The number of the output.
        operands: The activations of the call.
        out: The output, of which only the node is kept.
    """

    def __init__(
        self,
        site: Site,
        rule: Rule,
        call: OpCall | None,
        output: int,
        operands: Sequence[Operand],
        out: Tensor,
    ) -> None:
        self.site = site
        self._rule, self._call, self._output = rule, call, output
        self._axes = [operand.axes for operand in operands]
        self._settled: Tensor | None = None
        self.keep_bias = False  # until ``receive`` returns: several handlers use it
        self._kept_bias: Tensor | None = None
        # The gradient of an in-place write through a view arrives at the base that was written to.
        # So does that of an output that is a view of something made inside the call, once an
        # in-place operation follows (instance norm and ReLU).
        base = out._base
        if base is not None and call is not None and not call.in_place:
            storages = {get_storage_id(operand.tensor) for operand in operands}
            base = None if get_storage_id(base) in storages else base
        owner = out if base is None else base
        assert owner.grad_fn is not None
        self._node: Node | None = owner.grad_fn
        self._output_nr = owner.output_nr
        self._base_view = None if base is None else BaseView(out, base)

    def on_gradient(self, receive: Callable[[PendingBias, Tensor], None]) -> None:
        """Calls ``receive(self, ∂f/∂y)`` during the backward pass, if a gradient arrives at all."""

        def hook(grads: tuple[Tensor | None, ...]) -> None:
            gradient = grads[self._output_nr]
            if gradient is not None:
                view = self._base_view
                with torch.no_grad():
                    receive(self, gradient if view is None else view(gradient))
            self._call = self._settled = self._kept_bias = None  # release them

        # The node will hold the hook, and the hook this object: if the object kept the node, the
        # whole graph would stay alive, in a cycle through C++ that no collector sees.
        node, self._node = self._node, None
        assert node is not None
        node.register_prehook(hook)

    def bias(self, gradient: Tensor) -> Tensor:
        """b, broadcastable to the gradient, and 0 wherever the gradient is 0.

        Raises ``NotLocalizable`` where only ``unlocalized_term`` is available.
        """
        if self._kept_bias is not None:
            return self._kept_bias
        b = self._settled
        if b is None:
            assert self._call is not None or self._rule.keeps == "shapes"
            b = self._rule.bias(self._call, self._output)  # type: ignore[arg-type]
        if not self._rule.finite:
            b = torch.where(gradient == 0, 0, b)
        if self.keep_bias:
            self._kept_bias = b
        return b

    def bias_gradient(self, gradient: Tensor) -> Tensor:
        """f^b = g ⊙ b, broadcastable to the gradient; of complex tensors Re(conj(g) ⊙ b)."""
        return real_product(gradient, self.bias(gradient))

    def unlocalized_term(self, gradient: Tensor) -> Tensor:
        """⟨g, y⟩ − Σ⟨J_iᵀg, x_i⟩ per sample, (N,), where there is no Jacobian-vector product."""
        assert self._call is not None
        y, contributions = vector_jacobian_products(self._call, self._output, gradient)
        term = inner_product(gradient, y, self.site.sample_axis)
        operands = zip(self._call.activations, self._axes, contributions, strict=True)
        for x, axes, contribution in operands:
            if contribution is not None:
                term = term - inner_product(contribution, x, axes.get("sample"))
        return term

    def settle(self) -> None:
        """Computes the bias now, before the values that it depends on are overwritten."""
        call = self._call
        if self._settled is not None or call is None or self._rule.settled:
            return
        try:
            self._settled = self._rule.bias(call, self._output).clone()
            self._call = None
        except NotLocalizable:
            self._call = call.snapshot(keep_values=True, copy=True)

    def storage_ids(self) -> set[int | None]:
        """The memory on which the bias depends."""
        leaves = () if self._call is None or self._rule.settled else self._call.leaves
        return {get_storage_id(leaf) for leaf in leaves if isinstance(leaf, Tensor)}


class InPlaceGuard:
    """Computes pending biases just before an in-place operation overwrites what they depend on."""

    def __init__(self) -> None:
        self._by_storage: defaultdict[int | None, list[PendingBias]] = defaultdict(list)

    def add(self, pending: PendingBias) -> None:
        for storage_id in pending.storage_ids() - {None}:
            self._by_storage[storage_id].append(pending)

    def settle(self, tensor: Tensor) -> None:
        """Settles the biases that depend on a tensor that is about to be modified."""
        for pending in self._by_storage.pop(get_storage_id(tensor), ()):
            pending.settle()


def inner_product(gradient: Tensor, values: Tensor, sample_axis: Axis | None) -> Tensor:
    """⟨gradient, values⟩ per sample, (N,), in float64; of complex tensors the real part."""
    return per_sample(real_product(gradient, values), sample_axis)


def per_sample(values: Tensor, sample_axis: Axis | None) -> Tensor:
    """Sums per sample, (N,), in float64; raises ``SampleAxisLost`` without a sample axis."""
    if sample_axis is None:
        raise SampleAxisLost
    return sum_per_sample(values, sample_axis)


def real_product(gradient: Tensor, values: Tensor) -> Tensor:
    """The elementwise product whose sum is the inner product: Re(conj(gradient)·values)."""
    if gradient.dtype in (torch.bfloat16, torch.float16):
        gradient = gradient.float()
    if gradient.is_complex():
        return (gradient.conj() * values).real
    return gradient * values


class BaseView:
    """The region of a base tensor that one of its views covers."""

    def __init__(self, view: Tensor, base: Tensor) -> None:
        self._real = base.is_complex() and not view.is_complex()
        base = self._units(base.detach())
        self._shape, self._strides = view.shape, view.stride()
        self._offset = view.storage_offset() - base.storage_offset()
        self._base_shape, self._base_strides = base.shape, base.stride()

    def __call__(self, values: Tensor) -> Tensor:
        """The region of ``values``, which are shaped like the base."""
        values = self._units(values)
        if values.stride() != self._base_strides:
            # The view's strides apply only to values that are laid out in memory as the base is.
            values = values.new_empty_strided(self._base_shape, self._base_strides).copy_(values)
        offset = values.storage_offset() + self._offset
        return values.as_strided(self._shape, self._strides, offset)

    def outside(self, values: Tensor) -> Tensor:
        """``values``, shaped like the base, with that region set to zero."""
        rest = self._units(values)
        rest = rest.new_empty_strided(self._base_shape, self._base_strides).copy_(rest)
        rest.as_strided(self._shape, self._strides, self._offset).zero_()
        return torch.view_as_complex(rest) if self._real else rest

    def _units(self, values: Tensor) -> Tensor:
        return torch.view_as_real(values.resolve_conj()) if self._real else values
