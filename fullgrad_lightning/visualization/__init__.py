"""Pictures: saliency over images, in grids, for any logger."""

import lazy_loader

# ``__init__.pyi`` lists the names. They are imported at their first use, so that the reports can
# draw on the canvas without torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
