"""Cascading randomisation: re-initialises one layer after the other, from output to input."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn

from fullgrad_lightning.decomposition.validation import validate_input, validate_model
from fullgrad_lightning.evaluation.sanity.layer_order import layers_from_output, own_parameters
from fullgrad_lightning.saliency.base import as_module
from fullgrad_lightning.utilities.checks import check_int
from fullgrad_lightning.utilities.seeds import derive_seed


class CascadingRandomization:
    """A network whose layers are re-initialised one after the other, output first.

    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, §3 (cascading randomization).
    Iterating gives the network at each stage: the original first, at last one without any learnt
    weight. See ``reinitialize`` for the new weights, and ``layers_from_output`` for the definition
    of a layer. A layer's new weights depend on the seed and its name alone: not on the number of
    stages, nor on the device.

    Args:
        model: The network; it is not modified: a copy is.
        x: (N, …), an input, from which the order of the layers is determined.
        stages: Number of stages: the first re-initialises the last layer alone, the last one all,
            the others evenly many. ``None``, or more than there are layers: one for each layer.
        seed: Seed of the new weights. The global random number generators are not used.

    Attributes:
        model: The original network.
        layers: Names of all layers, the one next to the output first.
        depths: Number of re-initialised layers at each stage, 0 first.

    Raises:
        TypeError: The model is not an ``nn.Module``, or x not a floating-point tensor.
        ValueError: No layer has parameters, ``stages`` is not an integer ≥ 1, or ``seed`` not an
            integer.

    Examples:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
        >>> stages = CascadingRandomization(net, torch.zeros(1, 1, 4, 4))
        >>> stages.layers, stages.depths
        (('3', '0'), (0, 1, 2))
        >>> [bool((stage[0].weight == net[0].weight).all()) for stage in stages]
        [True, True, False]
    """

    def __init__(
        self, model: nn.Module, x: Tensor, *, stages: int | None = 8, seed: int = 0
    ) -> None:
        check_int("seed", seed)
        validate_input(x)
        self.model = as_module(validate_model(model))
        self._seed = seed
        self.layers = tuple(layers_from_output(self.model, x[:1]))
        self.depths = (0, *depths(len(self.layers), stages))

    def __len__(self) -> int:
        return len(self.depths)

    def __iter__(self) -> Iterator[nn.Module]:
        """Yields the network of each stage: one object, which the next stage modifies."""
        with torch.inference_mode(False):  # its tensors could not be modified afterwards
            network = deepcopy(self.model)
        for before, depth in pairwise((0, *self.depths)):
            for name in self.layers[before:depth]:
                reinitialize(network.get_submodule(name), derive_seed(f"{self._seed}/{name}"))
            yield network


def depths(count: int, stages: int | None) -> list[int]:
    """Numbers of re-initialised layers at each stage, of ``count``: 1, …, ``count``.

    Raises:
        ValueError: No layers, or ``stages`` is not an integer ≥ 1.

    Examples:
        >>> depths(54, 6), depths(3, None), depths(3, 1)
        ([1, 12, 22, 33, 43, 54], [1, 2, 3], [3])
    """
    if not count:
        raise ValueError(
            "The model has no parameters that its forward pass uses, so that there is nothing to "
            "re-initialise. Is it the network itself, rather than a wrapper around it?"
        )
    if stages is not None:
        check_int("stages", stages, 1)
    stages = count if stages is None else min(stages, count)
    if stages == 1:
        return [count]
    return [round(1 + (count - 1) * i / (stages - 1)) for i in range(stages)]


def reinitialize(layer: nn.Module, seed: int) -> None:
    """Re-initialises a layer in place; its dtype, device and ``requires_grad`` stay.

    A layer with ``reset_parameters()`` and without layers inside is reset by it, which is PyTorch's
    own initialisation of convolutions, linear and recurrent layers; norms get weight 1, bias 0, and
    running statistics of mean 0 and variance 1. All parameters that it does not change (class
    tokens, position embeddings, layer scales, the projections of attention) are redrawn from a
    normal distribution with their own mean and standard deviation. A parameter whose values are
    all equal, such as a scalar, does not change. Parameters of layers inside are not modified.
    New weights are drawn on the CPU.
    """
    parameters = [p for p in own_parameters(layer) if p.is_floating_point()]
    inside = any(own_parameters(module) for module in layer.modules() if module is not layer)
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs too
        before = [p.clone() for p in parameters]
        if hasattr(layer, "reset_parameters") and not inside:
            device = next((t.device for t in (*layer.parameters(), *layer.buffers())), None)
            layer.cpu().reset_parameters()  # type: ignore[operator]
            if device is not None:
                layer.to(device)
        for parameter, old in zip(parameters, before, strict=True):
            if parameter.equal(old):
                noise = torch.randn(old.shape, dtype=torch.float64).to(old.device)
                parameter.copy_(old.double().mean() + old.double().std(correction=0) * noise)
