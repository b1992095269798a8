"""One or more calls of every operation in the table of bias rules, on two (2, 3, 4, 4) operands."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.decomposition.rule_operands import (
    B3,
    C,
    Sample,
)
from tests.decomposition.rule_samples_affine import (
    affine,
    convolutions,
    degrees,
    products,
)
from tests.decomposition.rule_samples_linear import jointly, linear_maps, spectra, views
from tests.decomposition.rule_samples_nonlinear import layers, nonlinearities, norms, random_draws

SAMPLES: dict[str, list[Sample]] = {
    **convolutions(),
    **affine(),
    **products(),
    **degrees(),
    **jointly(),
    **views(),
    **linear_maps(),
    **spectra(),
    **nonlinearities(),
    **norms(),
    **layers(),
    **random_draws(),
}

WITHOUT_A_SAMPLE = {
    "cuda": "moves to another device, as cpu and to do; needs one",
    "detach": "its output is a constant, of which there is no site",
    "requires_grad": "sets a flag and returns its operand",
    "random": "returns integers without a gradient",
    "_sample_dirichlet": "its derivative is not implemented",
    "multinomial": "returns indices without a gradient",
}

OTHERWISE_BIASED: dict[str, tuple[str, Sample]] = {
    "maximum with a constant": ("maximum", lambda a, _: torch.maximum(a, C)),
    "hypot with a constant": ("hypot", lambda a, _: torch.hypot(a, C)),
    "max with a constant": ("max", lambda a, _: torch.max(a, C)),
    "prelu with an active slope": ("prelu", lambda a, b: F.prelu(a, b[0, :, 0, 0])),
    "active grid": (
        "grid_sampler",
        lambda a, b: F.grid_sample(a, b[:, :1, :, :2].tanh(), align_corners=False),
    ),
    "active exponent": ("pow", lambda a, b: a.abs() ** b),
    "batch norm with an active gamma": (
        "batch_norm",
        lambda a, b: F.batch_norm(a, B3, B3.square() + 1, b[0, :, 0, 0], B3),
    ),
    "repeated factor": ("mul", lambda a, _: a * a),
}
