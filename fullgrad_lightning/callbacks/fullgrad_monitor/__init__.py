"""``FullGradMonitor`` and its parts."""

from fullgrad_lightning.callbacks.fullgrad_monitor.monitor import FullGradMonitor

__all__ = ["FullGradMonitor"]
