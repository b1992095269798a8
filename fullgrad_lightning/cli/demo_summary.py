"""Console summary of the demo: metrics of each validation run and the paths of the figures."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytorch_lightning as pl

_COLUMNS = {  # heading -> key of the metric, its format
    "accuracy": ("val/accuracy", ".1%"),
    "saliency inside the object": ("fullgrad/energy_inside", ".1%"),
    "completeness residual": ("fullgrad/residual_max", ".0e"),
}


class ValidationHistory(pl.Callback):
    """Records some metrics of each validation run; logs nothing."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        during_fit = trainer.state.fn == "fit"
        row = {"epoch": str(trainer.current_epoch) if during_fit else "before"}
        for heading, (key, number_format) in _COLUMNS.items():
            if key in trainer.callback_metrics:
                row[heading] = format(float(trainer.callback_metrics[key]), number_format)
        self.rows.append(row)

    def table(self) -> str:
        """A line for each validation run, a column for each metric."""
        headings = ["epoch", *_COLUMNS]
        lines = [headings, *([row.get(heading, "–") for heading in headings] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = [
            [cell.rjust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
        ]
        return "\n".join("  ".join(line) for line in padded)


def format_summary(
    history: ValidationHistory, covered: float, logs: Path, output: Path, seconds: float
) -> str:
    """Formats the summary; objects cover a share ``covered`` of the images, 0…1."""
    grids = sorted((logs / "fullgrad").glob("samples_step*.png"))
    return f"""
Accuracy, and where the saliency lies, in {seconds:.0f} seconds:

{history.table()}

The label is the texture of one object, which covers {covered:.0%} of an image: that share of the
saliency would lie inside it by chance. The residual shows that the explanation is complete, up to
rounding.

The same images at each validation:
  {logs / "fullgrad" / "film_strip.png"}
or before and after the training:
  {grids[0]}
  {grids[-1]}
or, with all metrics, in a browser:
  tensorboard --logdir {shlex.quote(str(output))} --samples_per_plugin images=100
"""
