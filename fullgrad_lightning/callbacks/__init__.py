"""Lightning callbacks: thin shells around the decomposition, saliency and metrics."""

from fullgrad_lightning.callbacks.monitor import FullGradMonitor

__all__ = ["FullGradMonitor"]
