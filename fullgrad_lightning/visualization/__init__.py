"""Pictures: saliency over images, in grids, for any logger."""

from fullgrad_lightning.visualization.film_strip import film_strip
from fullgrad_lightning.visualization.grid import layers_grid, saliency_grid
from fullgrad_lightning.visualization.heat import heatmap, overlay
from fullgrad_lightning.visualization.images import unnormalized
from fullgrad_lightning.visualization.loggers import log_image, save_png
from fullgrad_lightning.visualization.text import display_name

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
