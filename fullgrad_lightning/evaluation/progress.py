"""A progress bar that says what is computed."""

from __future__ import annotations

from pytorch_lightning.callbacks import TQDMProgressBar


class NamedProgressBar(TQDMProgressBar):
    """Lightning's own, with a name of what is predicted.

    Args:
        name: Is shown before the bar.
    """

    def __init__(self, name: str) -> None:
        super().__init__(leave=True)
        self._name = name

    @property
    def predict_description(self) -> str:
        """Before the bar."""
        return self._name
