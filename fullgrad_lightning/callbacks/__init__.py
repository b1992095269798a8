"""Lightning callbacks: thin shells around the decomposition, saliency and metrics."""

from fullgrad_lightning.callbacks.fullgrad_monitor.monitor import FullGradMonitor
from fullgrad_lightning.callbacks.pixel_perturbation_monitor import PixelPerturbationMonitor
from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter

__all__ = ["FullGradMonitor", "PixelPerturbationMonitor", "SaliencyWriter"]
