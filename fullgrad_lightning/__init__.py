"""Full-gradients for PyTorch Lightning: exact attribution of a network's output.

After Srinivas & Fleuret, "Full-Gradient Representation for Neural Network Visualization",
NeurIPS 2019. ``(n)`` in docstrings refers to the paper's equations.

Public names are listed in ``__init__.pyi`` and imported on first access: ``fullgrad --help`` needs
no torch, and the decomposition no Lightning.
"""

from pathlib import Path

import lazy_loader

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
# Subpackages are attributes too, but a star import brings classes and functions only.
_subpackages = {folder.name for folder in Path(__file__).parent.iterdir() if folder.is_dir()}
__all__ = [name for name in _names if name not in {*_subpackages, "__version__"}]
