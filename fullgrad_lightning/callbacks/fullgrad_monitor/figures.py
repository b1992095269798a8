"""Figures of a ``FullGradMonitor``: drawn, and logged by the loggers of the Trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor

from fullgrad_lightning.callbacks.base.trainer_access import (
    is_fast_dev_run,
    log_folder,
    logging_step,
)
from fullgrad_lightning.callbacks.fullgrad_monitor.explain import SampleExplanations
from fullgrad_lightning.callbacks.fullgrad_monitor.sample_collector import WatchedSamples
from fullgrad_lightning.callbacks.fullgrad_monitor.state import MonitorState
from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.visualization import (
    film_strip,
    layers_grid,
    log_image,
    saliency_grid,
    save_png,
    unnormalized,
)


@dataclass(frozen=True)
class MonitorFigures:
    """Draws explanations, and logs them as images.

    Args:
        folder: Folder of the film strip, and of all images where a logger takes none.
        normalization: Normalisation of the images, to undo it.
        default_normalization: Normalisation of the DataModule, which is not used for images with
            another number of channels; without one, each image is scaled by its own range.
        class_names: Names of the classes, for titles; empty: indices are shown.
        film_name: File name, without its suffix, and key of the film strip.
    """

    folder: Path
    normalization: Normalization | None
    default_normalization: Normalization | None
    class_names: Sequence[str]
    film_name: str

    @classmethod
    def from_trainer(
        cls,
        trainer: pl.Trainer,
        normalization: Normalization | None,
        class_names: Sequence[str] | None,
        dataloader_idx: int,
    ) -> MonitorFigures:
        """Completes the arguments by those of the Trainer's DataModule. A collective."""
        data = getattr(trainer, "datamodule", None)
        names = getattr(data, "class_names", None) if class_names is None else class_names
        is_list = isinstance(names, Sequence) and not isinstance(names, str)
        return cls(
            log_folder(trainer),
            normalization,
            Normalization.of_datamodule(data),
            names if is_list else (),  # type: ignore[arg-type]
            f"film_strip_{dataloader_idx}" if dataloader_idx else "film_strip",
        )

    def log_explanations(
        self,
        trainer: pl.Trainer,
        samples: WatchedSamples,
        explanations: SampleExplanations,
        prefix: str,
        suffix: str,
    ) -> None:
        """Logs the grid of one validation and, if there are maps of layers, theirs."""
        if is_fast_dev_run(trainer):
            return
        images, titles = self._draw_images(samples), self._titles(samples, explanations)
        grid = saliency_grid(images, explanations.maps, titles)
        self._log(trainer, f"{prefix}/samples{suffix}", grid)
        pairs = zip(images, explanations.layer_maps, strict=False)
        layers = [layers_grid(image, maps) for image, maps in pairs if maps]
        if layers:
            self._log(trainer, f"{prefix}/layers{suffix}", torch.cat(layers, dim=1))

    def log_film(self, trainer: pl.Trainer, state: MonitorState, prefix: str) -> None:
        """Logs the film strip, and writes it beside the logs."""
        if not is_fast_dev_run(trainer) and self.save_film(state):
            self._log(trainer, f"{prefix}/{self.film_name}", self._draw_film(state))

    def save_film(self, state: MonitorState) -> bool:
        """Writes the film strip beside the logs; returns whether there is one."""
        if state.samples is None or not state.history.frames:
            return False
        save_png(self._draw_film(state), self.folder / "fullgrad" / f"{self.film_name}.png")
        return True

    def _draw_film(self, state: MonitorState) -> Tensor:
        assert state.samples is not None
        images, history = self._draw_images(state.samples), state.history
        labels = state.samples.labels.tolist()
        titles = [f"label {self._class_name(i)}" if i >= 0 else "" for i in labels]
        frames = [frame.float() for frame in history.frames]
        return film_strip(images, frames, history.captions(), titles if any(titles) else ())

    def _log(self, trainer: pl.Trainer, key: str, image: Tensor) -> None:
        log_image(trainer.loggers, key, image, logging_step(trainer), self.folder)

    def _draw_images(self, samples: WatchedSamples) -> Tensor:
        normalization, channels = self.normalization, samples.inputs.shape[1]
        if normalization is None and self.default_normalization is not None:
            lengths = {len(self.default_normalization.mean), len(self.default_normalization.std)}
            if lengths <= {1, channels}:
                normalization = self.default_normalization
        if normalization is None:
            return unnormalized(samples.inputs)
        return unnormalized(samples.inputs, normalization.mean, normalization.std)

    def _titles(self, samples: WatchedSamples, explanations: SampleExplanations) -> list[str]:
        columns = (
            explanations.predicted.tolist(),
            explanations.confidence.tolist(),
            explanations.targets.tolist(),
            samples.labels.tolist(),
        )
        titles = []
        for predicted, confidence, target, label in zip(*columns, strict=True):
            title = f"predicted {self._class_name(predicted)} {confidence:.0%}"
            if label >= 0:
                title += f", label {self._class_name(label)}"
            if target not in (predicted, label):
                title += f", explained {self._class_name(target)}"
            titles.append(title)
        return titles

    def _class_name(self, index: int) -> str:
        return str(self.class_names[index]) if index < len(self.class_names) else str(index)
