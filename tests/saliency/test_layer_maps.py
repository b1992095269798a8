"""Maps of single layers and neurons against the tensors they are made of."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import images
from tests.saliency.networks import assert_near, network


def test_signed_maps_are_sums_over_channels() -> None:
    model, x = network("plain"), images(2, 3, 20, 24)
    tensors = fgl.full_gradients(model, x, 1).bias_gradients
    maps = fgl.layer_maps(model, x, 1)
    assert list(maps) == [name for name, b in tensors.items() if b.spatial == "NCHW"]
    for name, site_map in maps.items():
        assert_near(site_map, tensors[name].values.sum(1, keepdim=True), 1e-12)


def test_each_neuron_is_post_processed_alone_and_enlarged() -> None:
    model, x = network("plain"), images(2, 3, 20, 24)
    tensors = fgl.full_gradients(model, x, 1).bias_gradients
    native = fgl.layer_maps(model, x, 1, postprocess="abs", per_neuron=True)
    enlarged = fgl.layer_maps(model, x, 1, postprocess="abs", per_neuron=True, resolution="image")
    for name, neurons in native.items():
        assert_near(neurons, tensors[name].values.abs(), 1e-12)
        expected = F.interpolate(tensors[name].values.abs(), (20, 24), mode="bilinear")
        assert_near(enlarged[name], expected, 1e-12)


def test_layers_and_input_add_up_to_fullgrad() -> None:
    model, x = network("plain"), images(2, 3, 20, 24)
    layers = fgl.layer_maps(model, x, 1, postprocess="abs", resolution="image")
    gradient = fgl.full_gradients(model, x, 1).input_gradient
    total = (gradient * x).abs().sum(1, keepdim=True) + sum(layers.values())
    assert_near(fgl.FullGrad("abs")(model, x, 1), total, 1e-12)


def test_an_unknown_resolution_is_refused() -> None:
    with pytest.raises(ValueError, match="'native', 'image'"):
        fgl.layer_maps(network("plain"), torch.rand(1, 3, 20, 20), resolution="full")  # type: ignore[arg-type]
