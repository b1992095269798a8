"""Names of saliency methods as headings, in all pictures; tables and files have identifiers."""

from __future__ import annotations

import re

NAMES = {
    "gradcam": "Grad-CAM",
    "smoothgrad": "SmoothGrad",
    "vargrad": "VarGrad",
    "fullgrad": "FullGrad",
    "simple_fullgrad": "Simple FullGrad",
    "smooth_fullgrad": "Smooth FullGrad",
    "input_x_gradient": "Input × gradient",
}


def display_name(method: str) -> str:
    """Returns the heading of a saliency method.

    Args:
        method: A registered name, or a heading, which is returned as it is.

    Examples:
        >>> display_name("smoothgrad"), display_name("integrated_gradients")
        ('SmoothGrad', 'Integrated gradients')
        >>> display_name("MyCAM, last layer")
        'MyCAM, last layer'
    """
    if method in NAMES or not re.fullmatch("[a-z][a-z0-9_]*", method):
        return NAMES.get(method, method)
    return method.replace("_", " ").capitalize()
