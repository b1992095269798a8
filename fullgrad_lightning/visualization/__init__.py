"""Pictures: saliency over images, in grids, for any logger."""

from fullgrad_lightning.visualization.film_strip import film_strip
from fullgrad_lightning.visualization.fonts import display_name
from fullgrad_lightning.visualization.heatmap import heatmap, overlay
from fullgrad_lightning.visualization.image_logging import log_image, save_png
from fullgrad_lightning.visualization.saliency_grid import layers_grid, saliency_grid
from fullgrad_lightning.visualization.unnormalize import unnormalized

__all__ = [
    "display_name",
    "film_strip",
    "heatmap",
    "layers_grid",
    "log_image",
    "overlay",
    "saliency_grid",
    "save_png",
    "unnormalized",
]
