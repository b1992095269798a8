"""The report in TensorBoard, written without torch: HParams, the curves, the masked images.

===================== ========= ==================================================================
run                   page      content
===================== ========= ==================================================================
one per done cell     HParams   ``method``, ``fraction``, ``seed`` → ``test/accuracy``
one per done cell     Scalars   ``test/accuracy`` at step 100 · fraction
``report``            Images    ``roar/accuracy``, ``roar/masked_images/0``, …
===================== ========= ==================================================================
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import (
    Discrete,
    HParam,
    Metric,
    hparams_config_pb,
    hparams_pb,
)
from tensorboard.summary.writer.record_writer import RecordWriter

from fullgrad_lightning.evaluation.roar.grid_state import CellState
from fullgrad_lightning.evaluation.roar.report.results import GridResults

ACCURACY = "test/accuracy"
PICTURES = "report"  # the run with the pictures
MAX_SELECTED_RUNS = 40  # of more, TensorBoard shows none until they are ticked


def export_tensorboard(results: GridResults, pictures: Mapping[str, bytes], folder: Path) -> None:
    """Writes a folder for ``tensorboard --logdir``, in place of an earlier one.

    The new folder is written beside the old one and renamed when it is complete: no result is
    there twice, and a kill leaves no partial folder. Call it in one process at a time. Pictures
    are PNG files by tag.
    """
    new, old = (folder.with_name(f".{folder.name}.{age}") for age in ("new", "old"))
    for leftover in (new, old):  # of a report that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    images = [_image_summary(tag, file) for tag, file in pictures.items()]
    _write_run(new / PICTURES, [_experiment_summary(results), *images])
    for cell in results.cells:
        if cell.result:
            _write_run(
                new / cell.folder.name, _cell_summaries(cell), step=round(100 * cell.fraction)
            )
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _write_run(folder: Path, summaries: Iterable[Summary], step: int = 0) -> None:
    """Writes one file of events, which makes a folder a run."""
    folder.mkdir(parents=True)
    # A running TensorBoard reads files with later names as later events of the run.
    now = time.time()
    content = BytesIO()
    records = RecordWriter(content)
    records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for summary in summaries:
        records.write(Event(wall_time=now, step=step, summary=summary).SerializeToString())
    (folder / f"events.out.tfevents.{now:.6f}.roar").write_bytes(content.getvalue())


def _experiment_summary(results: GridResults) -> Summary:
    """The labels by which the HParams page sorts and filters."""
    cells = results.cells
    return hparams_config_pb(
        hparams=[
            HParam("method", Discrete({cell.method for cell in cells}, str)),
            HParam("fraction", Discrete({float(cell.fraction) for cell in cells}, float)),
            # As text: seeds are names, and TensorBoard would write 1.0000.
            HParam("seed", Discrete({str(cell.seed) for cell in cells}, str)),
        ],
        metrics=[Metric(ACCURACY, display_name="test accuracy")],
    )


def _cell_summaries(cell: CellState) -> list[Summary]:
    """The session of a cell that is done: its labels, its accuracy, its end."""
    assert cell.result is not None
    labels = {"method": cell.method, "fraction": float(cell.fraction), "seed": str(cell.seed)}
    accuracy = Summary.Value(tag=ACCURACY, simple_value=cell.result["test_accuracy"])
    ended = plugin_data_pb2.HParamsPluginData(
        session_end_info=plugin_data_pb2.SessionEndInfo(
            status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time()
        )
    )
    end = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(ended),
        tensor=metadata.NULL_TENSOR,
    )
    return [
        hparams_pb(labels, trial_id=cell.folder.name),
        Summary(value=[accuracy]),
        Summary(value=[end]),
    ]


def _image_summary(tag: str, file: bytes) -> Summary:
    width, height = Image.open(BytesIO(file)).size
    image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=file)
    return Summary(value=[Summary.Value(tag=tag, image=image)])
