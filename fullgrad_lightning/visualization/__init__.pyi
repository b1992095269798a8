from .display_names import display_name as display_name
from .grids import (
    film_strip as film_strip,
    layers_grid as layers_grid,
    saliency_grid as saliency_grid,
)
from .heatmaps import heatmap as heatmap, overlay as overlay
from .image_logging import log_image as log_image, save_png as save_png
from .unnormalize import unnormalized as unnormalized
