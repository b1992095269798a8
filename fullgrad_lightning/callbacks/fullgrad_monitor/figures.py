"""The pictures of a monitor: what was explained, drawn and sent to the loggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.trainer_access import (
    is_fast_dev_run,
    logging_step,
    normalization,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.options import MonitorOptions
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import Samples
from fullgrad_lightning.callbacks.fullgrad_monitor.state import Watched
from fullgrad_lightning.visualization import (
    film_strip,
    layers_grid,
    log_image,
    saliency_grid,
    save_png,
    unnormalized,
)

if TYPE_CHECKING:
    from fullgrad_lightning.callbacks.fullgrad_monitor.validation_run import Explanation


@dataclass
class Pictures:
    """Draws explanations, and sends them to the loggers of a Trainer.

    Args:
        options: Of the monitor.
        folder: For loggers that take no images, and for the film strip.
        mean, std: Undo the normalisation of inputs; ``None``: each image by its own range.
        class_names: For titles; empty: indices are shown.
    """

    options: MonitorOptions
    folder: Path
    mean: Sequence[float] | None
    std: Sequence[float] | None
    class_names: Sequence[str]

    @classmethod
    def of(cls, options: MonitorOptions, trainer: pl.Trainer, logs: Path) -> Pictures:
        """What the options leave open is taken from the DataModule, if it has such attributes."""
        data: Any = getattr(trainer, "datamodule", None)
        mean, std = normalization(trainer, options.mean, options.std)
        names = options.class_names
        if names is None:
            names = getattr(data, "class_names", None)
        return cls(
            options,
            logs,
            mean,
            std,
            names if isinstance(names, Sequence) and not isinstance(names, str) else (),
        )

    def log(self, trainer: pl.Trainer, shown: Explanation, prefix: str, suffix: str) -> None:
        """Logs the grid of one validation and, if asked for, its layers."""
        if is_fast_dev_run(trainer):
            return
        images, titles = self._images(shown.samples), self._titles(shown)
        self._send(trainer, f"{prefix}/samples{suffix}", saliency_grid(images, shown.maps, titles))
        if shown.layers:
            grids = [
                layers_grid(image, maps)
                for image, maps in zip(images, shown.layers, strict=True)
                if maps
            ]
            if grids:
                self._send(trainer, f"{prefix}/layers{suffix}", torch.cat(grids, dim=1))

    def log_film(self, trainer: pl.Trainer, watched: Watched, prefix: str) -> None:
        """Logs the film strip, and writes it beside the logs."""
        if is_fast_dev_run(trainer) or not self.save_film(watched):
            return
        self._send(trainer, f"{prefix}/{self._film_name}", self._film(watched))

    def save_film(self, watched: Watched) -> bool:
        """Writes the film strip beside the logs, if there is something to be shown."""
        if watched.samples is None or not watched.film.frames:
            return False
        save_png(self._film(watched), self.folder / "fullgrad" / f"{self._film_name}.png")
        return True

    @property
    def _film_name(self) -> str:
        loader = self.options.dataloader_idx
        return f"film_strip_{loader}" if loader else "film_strip"  # of several monitors

    def _film(self, watched: Watched) -> Tensor:
        assert watched.samples is not None
        film, images = watched.film, self._images(watched.samples)
        titles = [f"label {self._name(i)}" if i >= 0 else "" for i in _ints(watched.samples.labels)]
        frames = [frame.float() for frame in film.frames]
        return film_strip(images, frames, film.captions(), titles if any(titles) else ())

    def _send(self, trainer: pl.Trainer, key: str, image: Tensor) -> None:
        log_image(trainer.loggers, key, image, logging_step(trainer), self.folder)

    def _images(self, samples: Samples) -> Tensor:
        mean, std, channels = self.mean, self.std, samples.inputs.shape[1]
        if self.options.mean is None and mean is not None and len(mean) not in (1, channels):
            mean = std = None  # the DataModule means something else
        return unnormalized(samples.inputs, mean, std)

    def _titles(self, shown: Explanation) -> list[str]:
        labels, predicted = _ints(shown.samples.labels), _ints(shown.predicted)
        titles = []
        for i, (label, guess) in enumerate(zip(labels, predicted, strict=True)):
            title = f"predicted {self._name(guess)} {float(shown.confidence[i]):.0%}"
            if label >= 0:
                title += f", label {self._name(label)}"
            if (target := int(shown.targets[i])) not in (guess, label):
                title += f", explained {self._name(target)}"
            titles.append(title)
        return titles

    def _name(self, index: int) -> str:
        return str(self.class_names[index]) if index < len(self.class_names) else str(index)


def _ints(values: Tensor) -> list[int]:
    return [int(value) for value in values.tolist()]
